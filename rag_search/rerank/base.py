"""The interfaces of rerankers. A reranker scores; `rag_search.search.searcher` sorts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from rag_search.errors import EngineError
from rag_search.records import EncodedQuery, FloatVector, Hit, TokenVectors


@runtime_checkable
class Reranker(Protocol):
    """A model that scores passages for a query, higher is better."""

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        ...

    @property
    def follows_instructions(self) -> bool:
        """True if `instruction` changes the scores."""
        ...

    @property
    def threshold(self) -> float | None:
        """Score below which a hit is not a confident match; None if scores are not calibrated."""
        ...

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return finite scores float32 (len(passages),) in the order of the passages."""
        ...


@runtime_checkable
class TokenVectorReranker(Reranker, Protocol):
    """A reranker that scores from the token vectors in the index, without reading the passages again."""

    def score_token_vectors(
        self,
        query: EncodedQuery,
        hits: Sequence[Hit],
        tokens: TokenVectors,
        *,
        reference: int | None = None,
        preferences: FloatVector | None = None,
    ) -> FloatVector:
        """Return scores float32 (len(hits),).

        hits: with the dense and lexical scores of stage one. tokens: stored token vectors of their chunks, in order.
        reference: number of first hits that a score compares with; None: all. preferences: how far each hit meets the
        instruction, (len(hits),).
        """
        ...


@runtime_checkable
class TruncatingReranker(Protocol):
    """A reranker that truncates long passages."""

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the model reads."""
        ...


@dataclass(frozen=True, slots=True)
class PairRequest:
    """One query and the passages to score against it."""

    query: str
    passages: Sequence[str]
    instruction: str | None = None


@runtime_checkable
class PairReranker(Protocol):
    """A reranker that scores the passages of several queries in one pass of its model."""

    def score_many(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        """Return scores float32 (len(passages),) for each request, equal to those of `score`."""
        ...


def score_all(reranker: Reranker, requests: Sequence[PairRequest]) -> list[FloatVector]:
    """Return the scores of every request, in one pass if the reranker can.

    Raises EngineError for missing or non-finite scores.
    """
    if isinstance(reranker, PairReranker):
        scores = reranker.score_many(requests)
        if len(scores) != len(requests):
            raise EngineError(f"{reranker.name} answered {len(scores)} of {len(requests)} queries.")
    else:
        scores = [reranker.score(r.query, r.passages, instruction=r.instruction) for r in requests]
    for request, row in zip(requests, scores, strict=True):
        check_scores(row, len(request.passages), reranker.name)
    return scores


def check_scores(scores: FloatVector, passages: int, name: str) -> None:
    """Raise EngineError unless there is one finite score for each passage."""
    if scores.shape != (passages,):
        raise EngineError(
            f"{name} answered {scores.size} scores for {passages} passages.", remedy="Run: ragsearch doctor"
        )
    if not np.isfinite(scores).all():
        raise EngineError(f"{name} answered a score that is not a finite number.", remedy="Run: ragsearch doctor")
