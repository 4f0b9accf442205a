"""What a reranker is: it scores, and `rag_search.search.searcher` sorts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from rag_search.errors import EngineError
from rag_search.records import FloatVector, Hit, TokenVectors


@runtime_checkable
class Reranker(Protocol):
    """Query and passages to one finite score per passage, higher better.

    name: for people. fingerprint: hash of what changes a score. follows_instructions: whether `instruction` changes
    the scores. threshold: score under which a hit is no confident match; None when scores are not calibrated.
    """

    @property
    def name(self) -> str: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def follows_instructions(self) -> bool: ...
    @property
    def threshold(self) -> float | None: ...

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Scores float32 (len(passages),) in the order of the passages."""
        ...


@runtime_checkable
class StoredTokenReranker(Protocol):
    """A reranker that can work from the token vectors in the index, without reading the passages again."""

    def score_stored(self, query: str, hits: Sequence[Hit], tokens: TokenVectors) -> FloatVector:
        """Scores float32 (len(hits),). `tokens` holds the stored token vectors of the hits' chunks, in order;
        `hits` carry the dense and lexical scores of stage one."""
        ...


@runtime_checkable
class CuttingReranker(Protocol):
    """A reranker that cuts long passages and can say how many."""

    def count_cut(self, passages: Sequence[str]) -> int: ...


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
        """Scores float32 (len(passages),) for each request, the same as from `score`."""
        ...


def score_all(reranker: Reranker, requests: Sequence[PairRequest]) -> list[FloatVector]:
    """Scores of every request, in one pass where the reranker can. Raises EngineError for bad scores."""
    if isinstance(reranker, PairReranker):
        scores = reranker.score_many(requests)
        if len(scores) != len(requests):
            raise EngineError(f"{reranker.name} answered {len(scores)} of {len(requests)} queries.")
    else:
        scores = [reranker.score(r.query, r.passages, instruction=r.instruction) for r in requests]
    for request, row in zip(requests, scores, strict=True):
        check_scores(row, len(request.passages), reranker.name)
    return scores


def check_scores(scores: FloatVector, wanted: int, name: str) -> None:
    """Raise EngineError unless there is one finite score for each passage."""
    if scores.shape != (wanted,):
        raise EngineError(
            f"{name} answered {scores.size} scores for {wanted} passages.", remedy="Run: ragsearch doctor"
        )
    if not np.isfinite(scores).all():
        raise EngineError(f"{name} answered a score that is no finite number.", remedy="Run: ragsearch doctor")
