"""Convert search options and results to JSON values and back, with stored paths, every field and full precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rag_search.errors import ServerError
from rag_search.records import Chunk, EngineNames, Hit, SearchOptions, SearchResult, Sibling, StageScores


def pack_options(options: SearchOptions) -> dict[str, Any]:
    """Convert SearchOptions to JSON values."""
    return asdict(options)


def pack_result(result: SearchResult) -> dict[str, Any]:
    """Convert a SearchResult to JSON values."""
    return asdict(result)


def unpack_result(packed: Mapping[str, Any]) -> SearchResult:
    """Restore what `pack_result` returned. Raises ServerError for anything else."""
    try:
        fields = {
            **packed,
            "engine": EngineNames(**packed["engine"]),
            "hits": tuple(_hit(hit) for hit in packed["hits"]),
            "near_misses": tuple(_hit(hit) for hit in packed["near_misses"]),
            "notes": tuple(packed["notes"]),
        }
        return SearchResult(**fields)
    except (KeyError, TypeError) as error:
        raise ServerError(f"the reply of the server is not a search result: {error}.") from error


def _hit(packed: Mapping[str, Any]) -> Hit:
    chunk = Chunk(**packed["chunk"] | {key: tuple(packed["chunk"][key]) for key in ("heading_path", "passage_lines")})
    siblings = tuple(Sibling(**sibling) for sibling in packed["siblings"])
    packed = {**packed, "exact": tuple(packed["exact"]), "same_in": tuple(packed["same_in"])}
    return Hit(**{**packed, "chunk": chunk, "scores": StageScores(**packed["scores"]), "siblings": siblings})
