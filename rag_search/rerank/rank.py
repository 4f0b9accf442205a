"""Score and order passages that are not in an index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rag_search.errors import InputError
from rag_search.records import FloatVector
from rag_search.rerank.base import Reranker, check_scores


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A scored passage. rank: from 1. index: 0-based position in the input. score: the reranker's."""

    rank: int
    index: int
    score: float
    text: str


def rank_passages(
    reranker: Reranker, query: str, passages: Sequence[str], *, instruction: str | None = None
) -> list[RankedPassage]:
    """Return all passages, best first; ties keep the order of the input.

    Raises InputError for no passages, EngineError when scores are missing or not finite.
    """
    if not passages:
        raise InputError("there are no passages to score.")
    scores = reranker.score(query, passages, instruction=instruction)
    check_scores(scores, len(passages), reranker.name)
    return order_passages(scores, passages)


def order_passages(scores: FloatVector, passages: Sequence[str]) -> list[RankedPassage]:
    """Return the passages ordered by their scores (len(passages),), best first; ties keep the order of the input."""
    order = np.argsort(-scores, kind="stable").tolist()
    return [RankedPassage(rank, i, float(scores[i]), passages[i]) for rank, i in enumerate(order, 1)]
