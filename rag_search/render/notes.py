"""Write the notes of a result, with paths as the reader sees them."""

from __future__ import annotations

from rag_search.records import SearchResult
from rag_search.render.paths import PathMapper

CHANGED = {"changed": "changed since ingest", "gone": "gone since ingest"}  # values of `Hit.changed` -> for people


def notes_of(result: SearchResult, mapper: PathMapper) -> list[str]:
    """Return the notes of a result, and one sentence for each near miss."""
    return [*result.notes, *near_miss_notes(result, mapper)]


def near_miss_notes(result: SearchResult, mapper: PathMapper) -> list[str]:
    """Return one sentence for each hit below the threshold of a result without a confident match."""
    return [
        f"close, not confident: {mapper.shown(hit.chunk.path)}:{hit.line}, score {_less(hit.score, result.threshold)}"
        for hit in result.near_misses
        if result.threshold is not None
    ]


def stale_notes(result: SearchResult, mapper: PathMapper) -> list[str]:
    """Return one sentence for each file of the result that is not what was ingested, so that its lines may be wrong."""
    hits = (*result.hits, *result.near_misses)
    files = {hit.chunk.path: CHANGED[hit.changed] for hit in hits if hit.changed in CHANGED}
    return [f"{mapper.shown(path)}: {state}" for path, state in files.items()]


def _less(score: float, threshold: float) -> str:
    """Return `score < threshold` with two digits, or as many as it takes to tell them apart."""
    pairs = ((f"{score:.{digits}f}", f"{threshold:.{digits}f}") for digits in range(2, 8))
    return " < ".join(next((pair for pair in pairs if pair[0] != pair[1]), (str(score), str(threshold))))
