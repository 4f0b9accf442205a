"""Let a cross-encoder read the best passages of late interaction, and join both judgements."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.records import EncodedQuery, FloatVector, Hit, TokenVectors
from rag_search.rerank.base import TokenVectorReranker

_SMALLEST = 1e-7  # of a probability, so that its logarithm is finite


class Reader(Protocol):
    """A cross-encoder that gives log-odds."""

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        ...

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return scores float32 (len(passages),)."""
        ...

    def logits(self, query: str, passages: Sequence[str]) -> NDArray[np.float64]:
        """Return the log-odds that each passage answers, (len(passages),)."""
        ...

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the model reads."""
        ...


class JoinedReranker:
    """A TokenVectorReranker: `first` scores all candidates, `reader` the best `depth` of them.

    The scores of the two have different scales, and nothing is fitted to a corpus. So the log-odds of the reader are
    brought to mean and spread of the first ones, and a score is the mean of both. Candidates that were not read count
    as the worst that was read.
    """

    def __init__(self, first: TokenVectorReranker, reader: Reader, *, depth: int) -> None:
        self._first, self._reader, self._depth = first, reader, depth

    @property
    def name(self) -> str:
        """Names of both, for people."""
        return f"{self._first.name} + {self._reader.name} over {self._depth}"

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        parts = (self._first.fingerprint, self._reader.fingerprint, self._depth)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """False: an instruction changes the order by preferences alone, see `score_token_vectors`."""
        return False

    @property
    def threshold(self) -> float | None:
        """None: the joined scores are not calibrated."""
        return None

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return the reader's scores: passages that are in no index have no other."""
        return self._reader.score(query, passages, instruction=instruction)

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the reader reads."""
        return self._reader.count_truncated(passages)

    def score_token_vectors(
        self,
        query: EncodedQuery,
        hits: Sequence[Hit],
        tokens: TokenVectors,
        *,
        reference: int | None = None,
        preferences: FloatVector | None = None,
    ) -> FloatVector:
        """Return the joined scores, float32 (len(hits),)."""
        if not hits:
            return np.empty(0, np.float32)
        scores = self._first.score_token_vectors(query, hits, tokens, reference=reference, preferences=preferences)
        best = np.argsort(-scores, kind="stable")[: self._depth]
        read = self._reader.logits(query.text, [hits[row].chunk.passage for row in best.tolist()])
        return joined_scores(scores, best, read)


def joined_scores(scores: FloatVector, best: NDArray[np.int64], read: NDArray[np.float64]) -> FloatVector:
    """Return the joined probabilities of all candidates, float32 (n,).

    scores: probabilities of the first reranker, (n,). best: the rows that were read. read: the log-odds of the reader
    for these, (len(best),).
    """
    shares = np.clip(scores.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    first = np.log(shares) - np.log1p(-shares)
    spread = read.std()
    standard = (read - read.mean()) / spread if spread else np.zeros_like(read)
    alike = first[best].mean() + first[best].std() * standard
    second = np.full(len(scores), alike.min())
    second[best] = alike
    return np.asarray(1 / (1 + np.exp(-(first + second) / 2)), np.float32)
