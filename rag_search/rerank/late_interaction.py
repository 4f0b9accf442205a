"""Late interaction (ColBERT, Khattab & Zaharia 2020) over the builtin encoder's token vectors, calibrated.

A passage's raw score is the mean over the query's tokens of the largest dot product with the passage's tokens. A
logistic model blends it with the scores of stage one and turns it into a probability that the passage answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import dequantize
from rag_search.errors import EngineError
from rag_search.records import Encoded, EncodedQueries, EncodedQuery, FloatMatrix, FloatVector, Hit, TokenVectors
from rag_search.rerank.base import PairRequest
from rag_search.rerank.features import columns, features, is_of_another_year, readability
from rag_search.runtime import blas

CALIBRATION = Path(__file__).with_name("data") / "late_interaction.json"
RIVALS = 10  # candidates
REACH = 8.0  # of the blend; an instruction lifts a candidate that is nearer to the best one
_BLOCK_ROWS = 4096  # token vectors converted to float32 at a time: 2 MB, which stay in the processor's cache


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


@dataclass(frozen=True, slots=True)
class Calibration:
    """The weights that turn features into a probability of relevance.

    late, dense, lexical, length, untranslated: weights of `columns`; their weighted sum is the blend, which decides the
    order. edition: taken off the blend of a passage of another year than the query names. translation: a passage in
    another script than the query counts as untranslated if its likeness to every candidate in the query's script is
    smaller. threshold: a hit with a smaller probability is not a confident match. exact: added to the blend of a
    passage with evidence of strength 1.

    The probability is sigmoid(slope * blend - rivals * level + bias), where level is the mean blend of the RIVALS best
    documents after the first: a right answer stands out, a question without an answer has many equals. Chunks of one
    document do not count as rivals of each other. `typical` replaces the blend of missing documents.
    """

    late: float
    dense: float
    lexical: float
    length: float
    untranslated: float
    edition: float
    translation: float
    slope: float
    rivals: float
    typical: float
    bias: float
    threshold: float
    exact: float = 0.0

    def blend(self, features: FloatMatrix) -> NDArray[np.float64]:
        """Return the blend (n,) of `features` (n, 7)."""
        weights = (self.late, self.dense, self.lexical, self.length, self.untranslated, -self.edition, self.exact)
        return np.asarray(columns(features, self.translation) @ np.array(weights), np.float64)

    def probability(
        self,
        features: FloatMatrix,
        documents: Sequence[Hashable] | None = None,
        *,
        reference: int | None = None,
        preferences: FloatVector | None = None,
    ) -> FloatVector:
        """Return the probability of each candidate of one query, float32 (n,).

        features: (n, 7), of all candidates. documents: the document of each; None if each is its own. reference:
        number of first candidates, which are the rivals; None: all. preferences: (n,) of the instruction, added to the
        blend.
        """
        blend = self.blend(features)
        if preferences is not None:  # an instruction chooses among answers; it makes no answer of another subject
            near = blend >= blend.max(initial=-np.inf) - REACH
            blend = blend + np.where(near, preferences, np.minimum(preferences, 0.0))
        documents = range(len(blend)) if documents is None else documents
        level = rival_level(blend[:reference], self.typical, documents[:reference])
        logit = self.slope * blend - self.rivals * level + self.bias
        return np.asarray(1 / (1 + np.exp(-logit)), np.float32)


def rival_level(blend: NDArray[np.float64], typical: float, documents: Sequence[Hashable] | None = None) -> float:
    """Return the mean of the best blends of the RIVALS best documents after the first.

    typical: blend of documents that are missing. documents: the document of each candidate; None if each is its own.
    """
    best: dict[Hashable, float] = {}
    for document, value in zip(range(len(blend)) if documents is None else documents, blend.tolist(), strict=True):
        best[document] = max(value, best.get(document, value))
    after = sorted(best.values(), reverse=True)[1 : RIVALS + 1]
    return (sum(after) + typical * (RIVALS - len(after))) / RIVALS


def load_calibration(model: str) -> Calibration:
    """Return the calibration that benchmarks/calibrate.py wrote for an encoder.

    Raises EngineError if there is none.
    """
    stored = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    if model not in stored:
        raise EngineError(
            f"{CALIBRATION} has no calibration for the model {model!r}.", remedy="Run: python -m benchmarks.calibrate"
        )
    return Calibration(**stored[model]["calibration"])


def late_interaction(query: FloatMatrix, tokens: TokenVectors) -> FloatVector:
    """Return the late-interaction score of each passage, float32 (n,).

    It is the mean over the query's unit token vectors (q, dim) of the best dot product with the passage's tokens; 0 if
    either has no tokens.
    """
    if not len(query):
        return np.zeros(len(tokens.lengths), np.float32)
    with blas.one_thread:
        return np.asarray(_best_products(query, tokens).mean(axis=0), np.float32)


def _best_products(query: FloatMatrix, tokens: TokenVectors) -> FloatMatrix:
    """Return the largest dot product of each query token with each passage, float32 (q, n)."""
    best = np.zeros((len(query), len(tokens.lengths)), np.float32)
    ends = np.cumsum(tokens.lengths)
    first = 0
    while first < len(ends):
        start = ends[first] - tokens.lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, start + _BLOCK_ROWS, side="right")))
        filled = first + np.flatnonzero(tokens.lengths[first:last])
        if len(filled):
            products = query @ dequantize(tokens.rows[start : ends[last - 1]]).T  # (q, rows)
            best[:, filled] = np.maximum.reduceat(products, (ends - tokens.lengths - start)[filled], axis=1)
        first = last
    return best


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
        """Return the scores of each request, with the passages of all requests encoded in one pass."""
        encoded = self._embedder.encode_documents([text for request in requests for text in request.passages])
        if encoded.tokens is None:
            raise TypeError("the embedder makes no token vectors")
        scores, start = [], 0
        for request in requests:
            stop = start + len(request.passages)
            tokens = encoded.tokens.part(start, stop)
            scores.append(self._score_encoded(request, encoded.vectors[start:stop], tokens))
            start = stop
        return scores

    def _score_encoded(self, request: PairRequest, vectors: FloatMatrix, tokens: TokenVectors) -> FloatVector:
        (query,) = self._embedder.encode_queries([request.query]).each([request.query])
        late = late_interaction(token_vectors_of(query), tokens)
        lexical = np.zeros(len(vectors), np.float32)
        readable = readability(request.query, request.passages, tokens)
        other_year = is_of_another_year(request.query, request.passages)
        found = features(late, vectors @ query.vector, lexical, tokens.token_counts, readable, other_year)
        return self._calibration.probability(found)

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
    """Return `features` (n, 7) of hits.

    hits: with the scores of stage one. tokens: the stored token vectors of their chunks, in order. reference: see
    `features`.
    """
    lexical = np.array([hit.scores.lexical or 0.0 for hit in hits], np.float32)
    passages = [hit.chunk.passage for hit in hits]
    late = late_interaction(token_vectors_of(query), tokens)
    readable = readability(query.text, passages, tokens, reference=reference)
    other_year = is_of_another_year(query.text, passages)
    exact = np.array([hit.evidence for hit in hits], np.float32)
    cosines, counts = _cosines(hits), tokens.token_counts
    return features(late, cosines, lexical, counts, readable, other_year, exact=exact, reference=reference)


def _cosines(hits: Sequence[Hit]) -> FloatVector:
    """Return the dense scores of stage one, and for hits without one the lowest of the others."""
    known = [hit.scores.dense for hit in hits if hit.scores.dense is not None]
    lowest = min(known, default=0.0)
    return np.array([lowest if hit.scores.dense is None else hit.scores.dense for hit in hits], np.float32)
