"""Late interaction (ColBERT, Khattab & Zaharia 2020) over the builtin encoder's token vectors, calibrated.

A passage's raw score is the mean over the query's tokens of the largest dot product with the passage's tokens. A
logistic model blends it with the scores of stage one and turns it into a probability that the passage answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.records import Encoded, EncodedQueries, EncodedQuery, FloatMatrix, FloatVector, Hit, TokenVectors
from rag_search.rerank.base import PairRequest
from rag_search.rerank.calibration import Calibration, load_calibration
from rag_search.rerank.features import features, is_foreign, is_of_another_year, match_tokens, readability
from rag_search.runtime import blas


class TokenEncoder(Protocol):
    """An embedder whose token vectors of queries and passages are comparable by dot product."""

    @property
    def model(self) -> str:
        """Name of the network, which names the calibration that fits."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a vector."""
        ...

    def encode_queries(self, queries: Sequence[str]) -> EncodedQueries:
        """Return vectors and token vectors of the queries."""
        ...

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        """Return vectors and token vectors of the passages."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text, without prefix and special tokens."""
        ...


def late_interaction(query: FloatMatrix, tokens: TokenVectors) -> FloatVector:
    """Return the late-interaction score of each passage, float32 (n,).

    It is the mean over the query's unit token vectors (q, dim) of the best dot product with the passage's tokens; 0 if
    either has no tokens.
    """
    with blas.one_thread:
        return match_tokens(query, tokens, directions=False).late


def _compare(
    query: EncodedQuery, passages: Sequence[str], tokens: TokenVectors, *, reference: int | None = None
) -> tuple[FloatVector, FloatVector]:
    """Return the late-interaction score and the `readability` of each passage, (n,)."""
    foreign = is_foreign(query.text, passages)
    with blas.one_thread:
        late, directions = match_tokens(token_vectors_of(query), tokens, directions=bool(foreign.any()))
        return late, readability(foreign, directions, reference=reference)


class LateInteractionReranker:
    """A Reranker and TokenVectorReranker whose scores are probabilities of relevance in [0, 1].

    Args:
        embedder: makes the token vectors of queries and passages.
        calibration: None takes the packaged one of the embedder's model.
    """

    def __init__(self, embedder: TokenEncoder, calibration: Calibration | None = None) -> None:
        self._embedder = embedder
        self._calibration = calibration or load_calibration(embedder.model)

    @property
    def name(self) -> str:
        """The name of the reranker, for people."""
        return "late interaction (builtin)"

    @property
    def fingerprint(self) -> str:
        """Hash of the encoder and the calibration."""
        return hashlib.sha256(f"{self._embedder.fingerprint}\n{self._calibration}".encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """False: an instruction does not change the scores."""
        return False

    @property
    def threshold(self) -> float | None:
        """The probability below which a hit is not a confident match."""
        return self._calibration.threshold

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:  # noqa: ARG002
        """Return the probabilities of passages that are encoded on the spot, without a lexical score in the blend.

        instruction: not used.
        """
        return self.score_many([PairRequest(query, passages)])[0]

    def score_many(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        """Return the scores of each request, with the passages of all requests encoded in one pass.

        A passage that is longer than the encoder reads is cut, and has the score of its best piece.
        """
        from rag_search.rerank.pieces import cut_passages  # a query reads stored token vectors and cuts nothing

        cut = [cut_passages(request.passages, self._embedder.count_tokens) for request in requests]
        encoded = self._embedder.encode_documents([piece for pieces, _ in cut for piece in pieces])
        if encoded.tokens is None:
            raise TypeError("the embedder makes no token vectors")
        scores, start = [], 0
        for request, (pieces, owners) in zip(requests, cut, strict=True):
            stop = start + len(pieces)
            part = Encoded(encoded.vectors[start:stop], encoded.tokens.part(start, stop))
            scores.append(self._score_encoded(request, pieces, owners, part))
            start = stop
        return scores

    def _score_encoded(
        self, request: PairRequest, pieces: Sequence[str], owners: NDArray[np.int64], encoded: Encoded
    ) -> FloatVector:
        from rag_search.rerank.pieces import best_of_pieces

        (query,) = self._embedder.encode_queries([request.query]).each([request.query])
        tokens = encoded.tokens
        if tokens is None:
            raise TypeError("the embedder makes no token vectors")
        late, readable = _compare(query, pieces, tokens)
        lexical = np.zeros(len(pieces), np.float32)
        other_year = is_of_another_year(request.query, request.passages)[owners]
        found = features(late, encoded.vectors @ query.vector, lexical, tokens.token_counts, readable, other_year)
        scores = self._calibration.probability(found, owners.tolist())
        return best_of_pieces(scores, owners, len(request.passages))

    def score_token_vectors(
        self,
        query: EncodedQuery,
        hits: Sequence[Hit],
        tokens: TokenVectors,
        *,
        reference: int | None = None,
        preferences: FloatVector | None = None,
    ) -> FloatVector:
        """Return probabilities from the token vectors of the index and the scores of stage one."""
        found = stored_features(query, hits, tokens, reference=reference)
        paths = [hit.chunk.path for hit in hits]
        return self._calibration.probability(found, paths, reference=reference, preferences=preferences)


def token_vectors_of(query: EncodedQuery) -> FloatMatrix:
    """Return the token vectors of a query. Raises TypeError if its embedder makes none."""
    if query.tokens is None:
        raise TypeError("the embedder makes no token vectors")
    return query.tokens


def stored_features(
    query: EncodedQuery, hits: Sequence[Hit], tokens: TokenVectors, *, reference: int | None = None
) -> FloatMatrix:
    """Return `features` (n, 8) of hits.

    hits: with the scores of stage one. tokens: the stored token vectors of their chunks, in order. reference: see
    `features`.
    """
    lexical = np.array([hit.scores.lexical or 0.0 for hit in hits], np.float32)
    passages = [hit.chunk.passage for hit in hits]
    late, readable = _compare(query, passages, tokens, reference=reference)
    other_year = is_of_another_year(query.text, passages)
    exact = np.array([hit.evidence for hit in hits], np.float32)
    cosines, counts = _cosines(hits), tokens.token_counts
    return features(late, cosines, lexical, counts, readable, other_year, exact=exact, reference=reference)


def _cosines(hits: Sequence[Hit]) -> FloatVector:
    """Return the dense scores of stage one, and for hits without one the lowest of the others."""
    known = [hit.scores.dense for hit in hits if hit.scores.dense is not None]
    lowest = min(known, default=0.0)
    return np.array([lowest if hit.scores.dense is None else hit.scores.dense for hit in hits], np.float32)
