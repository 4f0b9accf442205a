"""Hits after they are scored: in order, grouped by document, and what is to be said about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.records import FloatVector, Hit, Sibling, StageScores
from rag_search.rerank.base import CuttingReranker, Reranker
from rag_search.text.query import Query


def ordered(hits: Sequence[Hit], scores: FloatVector) -> list[Hit]:
    """The reranker's score decides; ties keep the order of retrieval."""
    return [_scored(hits[i], float(scores[i])) for i in np.argsort(-scores, kind="stable").tolist()]


def _scored(hit: Hit, score: float) -> Hit:
    stage = hit.scores  # without dataclasses.replace: for 50 candidates it takes half a millisecond
    return Hit(hit.chunk, hit.rank, score, StageScores(stage.dense, stage.lexical, stage.fused, score), hit.siblings)


def grouped(hits: Sequence[Hit], *, shown: int) -> list[Hit]:
    """The best hit of each document in order; the first `shown` with the document's other hits as siblings."""
    by_path: dict[str, list[Hit]] = {}
    for hit in hits:
        by_path.setdefault(hit.chunk.path, []).append(hit)
    groups = list(by_path.values())
    best = [_with_siblings(first, rest) if rest else first for first, *rest in groups[:shown]]
    return best + [first for first, *_ in groups[shown:]]


def _with_siblings(first: Hit, rest: Sequence[Hit]) -> Hit:
    siblings = (Sibling(other.chunk.line_start, other.chunk.line_end, other.score) for other in rest)
    return replace(first, siblings=tuple(siblings))


def closest(hit: Hit, threshold: float) -> str:
    return f"close, not confident: {hit.chunk.path}:{hit.chunk.line_start}, score {hit.score:.2f} < {threshold:.2f}"


def instruction_notes(query: Query, embedder: Embedder, reranker: Reranker | None) -> list[str]:
    if query.instruction is None:
        return []
    deaf = [engine.name for engine in (embedder, reranker) if engine is not None and not engine.follows_instructions]
    return [f"{' and '.join(deaf)} cannot follow the instruction {query.instruction!r}"] if deaf else []


def cut_notes(reranker: CuttingReranker, hits: Sequence[Hit]) -> list[str]:
    cut = reranker.count_cut([hit.chunk.passage for hit in hits])
    return [f"{cut} of {len(hits)} passages were longer than the reranker reads and were cut"] if cut else []
