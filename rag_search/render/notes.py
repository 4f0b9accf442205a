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
        f"close, not confident: {mapper.shown(hit.chunk.path)}:{hit.line}, "
        f"score {hit.score:.2f} < {result.threshold:.2f}"
        for hit in result.near_misses
    ]
