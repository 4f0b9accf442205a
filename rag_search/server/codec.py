"""Search requests and results as JSON between our own client and server: stored paths, every field, nothing rounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rag_search.errors import ServerError
from rag_search.records import Chunk, EngineNames, Hit, SearchOptions, SearchResult, Sibling, StageScores


def pack_options(options: SearchOptions) -> dict[str, Any]:
    """SearchOptions as JSON values."""
    return asdict(options)


def pack_result(result: SearchResult) -> dict[str, Any]:
    """SearchResult as JSON values."""
    return asdict(result)


def unpack_result(packed: Mapping[str, Any]) -> SearchResult:
    """What `pack_result` packed. Raises ServerError for anything else."""
    try:
        fields = {
            **packed,
            "engine": EngineNames(**packed["engine"]),
            "hits": tuple(_hit(hit) for hit in packed["hits"]),
            "notes": tuple(packed["notes"]),
        }
        return SearchResult(**fields)
    except (KeyError, TypeError) as error:
        raise ServerError(f"the server answered something else than a search result: {error}.") from error


def _hit(packed: Mapping[str, Any]) -> Hit:
    chunk = Chunk(**{**packed["chunk"], "heading_path": tuple(packed["chunk"]["heading_path"])})
    siblings = tuple(Sibling(**sibling) for sibling in packed["siblings"])
    return Hit(**{**packed, "chunk": chunk, "scores": StageScores(**packed["scores"]), "siblings": siblings})
