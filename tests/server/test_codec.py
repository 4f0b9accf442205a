"""Results travel as JSON and come back as they were; what is not a result is an error and never a traceback."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rag_search.errors import ServerError
from rag_search.records import Chunk, EngineNames, Hit, SearchResult, Sibling, StageScores
from rag_search.server.codec import pack_result, unpack_result

CHUNK = Chunk("a.md", "A", 0, "text", ("Part", "Section"), 0, 4, 1, 2, "A\ntext", 7, (0, 1))
HIT = Hit(CHUNK, 1, 0.5, StageScores(dense=0.25, rerank=1), (Sibling(3, 4, 0.1),), ("a",), 0.5, ("b.md",), "text", 1)
RESULT = SearchResult("q", None, (HIT,), EngineNames("e", None, "i"), {"total": 1.5}, False, ("a note",), 0.5, (HIT,))


def packed() -> dict[str, Any]:
    """Return the result as it arrives."""
    received: dict[str, Any] = json.loads(json.dumps(pack_result(RESULT)))
    return received


def test_a_result_comes_back() -> None:
    assert unpack_result(packed()) == RESULT


@pytest.mark.parametrize(
    "place",
    ["query", "hits", "hits.0", "hits.0.rank", "hits.0.score", "hits.0.chunk", "hits.0.chunk.title", "confident",
     "hits.0.chunk.heading_path.0", "hits.0.chunk.line_start", "hits.0.scores.dense", "hits.0.siblings.0.score",
     "engine", "engine.embedder", "timings_ms", "timings_ms.total", "notes.0", "near_misses.0.same_in.0"],
)  # fmt: skip
@pytest.mark.parametrize("wrong", [{"a": "b"}, [1], True])
def test_a_value_of_another_type_is_an_error(place: str, wrong: object) -> None:
    """Another program may answer at the address of a server."""
    reply = packed()
    *above, last = (int(part) if part.isdigit() else part for part in place.split("."))
    container: Any = reply
    for part in above:
        container = container[part]
    container[last] = wrong if place != "confident" or wrong is not True else "yes"
    with pytest.raises(ServerError, match="is not a search result"):
        unpack_result(reply)
