"""Order scored hits, group them by document, and write the notes of a result."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.records import FloatVector, Hit, SearchOptions, Sibling, StageScores
from rag_search.rerank.base import Reranker, TruncatingReranker
from rag_search.text.query import Query

LIFTED = 0.25  # strength of evidence that puts a hit first
COMPARED_WORDS = 4  # at the start of a text; only texts that have them in common are compared as a whole


def order_hits(hits: Sequence[Hit], scores: FloatVector) -> list[Hit]:
    """Return the hits ordered by the reranker's scores (len(hits),); ties keep the order of retrieval."""
    return [_scored(hits[i], float(scores[i])) for i in np.argsort(-scores, kind="stable").tolist()]


def _scored(hit: Hit, score: float) -> Hit:
    stage = hit.scores  # without dataclasses.replace: for 50 candidates it takes half a millisecond
    scores = StageScores(stage.dense, stage.lexical, stage.fused, score)
    return Hit(hit.chunk, hit.rank, score, scores, hit.siblings, hit.exact, hit.evidence)


def lift_evidence(hits: Sequence[Hit]) -> list[Hit]:
    """Return hits with evidence first, in order, with at least the score of the best hit without.

    For rerankers whose scores do not take evidence into account.
    """
    first = [hit for hit in hits if hit.evidence >= LIFTED]
    rest = [hit for hit in hits if hit.evidence < LIFTED]
    best = max((hit.score for hit in rest), default=-math.inf)
    return [replace(hit, score=max(hit.score, best)) for hit in first] + rest


def merge_copies(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits without those whose text another document had before; the first one names the others."""
    starts = [hit.chunk.text.split(None, COMPARED_WORDS)[:COMPARED_WORDS] for hit in hits]
    alike = Counter(map(tuple, starts))
    first: dict[str, int] = {}
    kept: list[Hit] = []
    for hit, start in zip(hits, starts, strict=True):
        text = " ".join(hit.chunk.text.split()) if alike[tuple(start)] > 1 else ""
        at = first.get(text)
        if at is None or not text:
            first[text] = len(kept)
            kept.append(hit)
        elif hit.chunk.path not in (kept[at].chunk.path, *kept[at].same_in):
            kept[at] = replace(kept[at], same_in=(*kept[at].same_in, hit.chunk.path))
    return kept


def group_by_document(hits: Sequence[Hit], *, shown: int) -> list[Hit]:
    """Return the best hit of each document, in order.

    shown: how many of them get the other hits of their document as siblings.
    """
    by_path: dict[str, list[Hit]] = {}
    for hit in hits:
        by_path.setdefault(hit.chunk.path, []).append(hit)
    groups = list(by_path.values())
    best = [_with_siblings(first, rest) if rest else first for first, *rest in groups[:shown]]
    return best + [first for first, *_ in groups[shown:]]


def _with_siblings(first: Hit, rest: Sequence[Hit]) -> Hit:
    siblings = (Sibling(other.chunk.line_start, other.chunk.line_end, other.score) for other in rest)
    return replace(first, siblings=tuple(siblings))


def preference_note(instruction: str, *, is_bracketed: bool) -> str:
    """Return the note on an instruction that was followed by what documents tell of themselves.

    is_bracketed: it was found in brackets, which may be a mistake.
    """
    from rag_search.search.instructions import facets_of  # has many patterns, and few queries have an instruction

    facets = facets_of(instruction)
    way = f"preferred documents {', '.join(facets)}" if facets else "preferred passages that are like it"
    if not is_bracketed:
        return f"instruction {instruction!r}: {way}"
    return f"{instruction!r} was read as an instruction: {way}; write \\[ for a bracket that is to be searched"


def instruction_notes(query: Query, *engines: Embedder | Reranker | None) -> list[str]:
    """Return a note that names the engines which cannot follow the instruction, if there are any."""
    if query.instruction is None:
        return []
    unable = [engine.name for engine in engines if engine is not None and not engine.follows_instructions]
    return [f"{' and '.join(unable)} cannot follow the instruction {query.instruction!r}"] if unable else []


def filter_note(options: SearchOptions, documents: int) -> str:
    """Return the note that no document passes the filters. documents: number of those in the index."""
    filters = [f"--path {shlex.quote(path)}" for path in options.paths]
    filters += [f"--where {shlex.quote(f'{key}={value}')}" for key, value in options.where.items()]
    filters += [f"--since {options.since}"] if options.since else []
    return f"no document matches {' '.join(filters)}; {documents:,} are indexed"


def pending_note(pending: int, chunks: int) -> str:
    """Return the note that only a part of the index has vectors. pending: number of chunks without."""
    share = int(100 * (chunks - pending) / chunks) if chunks else 0
    return f"meaning: {share} % of {chunks:,} passages; ingest has yet to read the others, which their words find"


def truncation_notes(reranker: TruncatingReranker, passages: Sequence[str]) -> list[str]:
    """Return a note on the number of passages that the reranker truncated, if there are any."""
    truncated = reranker.count_truncated(passages)
    if not truncated:
        return []
    return [f"{truncated} of {len(passages)} passages were longer than the reranker reads and were cut"]
