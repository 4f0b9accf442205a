"""A hit says when its file is not what was ingested."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rag_search.records import Chunk, EngineNames, Hit, SearchResult, StageScores
from rag_search.search.freshness import mark_changed


class Index:
    """Documents by path."""

    def __init__(self, hashes: dict[str, str]) -> None:
        self.hashes = hashes

    def content_hashes(self, paths: Sequence[str]) -> dict[str, str]:
        return {path: self.hashes[path] for path in paths if path in self.hashes}


SHA_A = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"  # of b"a", by sha256sum


def result(*paths: str) -> SearchResult:
    hits = tuple(
        Hit(Chunk(path, "", 0, "a", (), 0, 1, 1, 1, "a", number), number, 1.0, StageScores())
        for number, path in enumerate(paths, 1)
    )
    return SearchResult("q", None, hits, EngineNames("e", None, "i"), {})


@pytest.mark.parametrize(
    ("content", "indexed", "changed"),
    [(b"a", SHA_A, ""), (b"b", SHA_A, "changed"), (None, SHA_A, "gone"), (b"a", None, "")],
)
def test_files_and_what_was_ingested(tmp_path: Path, content: bytes | None, indexed: str | None, changed: str) -> None:
    (tmp_path / "docs").mkdir()
    if content is not None:
        (tmp_path / "docs" / "a.md").write_bytes(content)
    marked = mark_changed(result("docs/a.md"), Index({"docs/a.md": indexed} if indexed else {}), tmp_path)
    assert [hit.changed for hit in marked.hits] == [changed]
    nearest = replace(result(), near_misses=result("docs/a.md").hits)
    marked = mark_changed(nearest, Index({"docs/a.md": indexed} if indexed else {}), tmp_path)
    assert (marked.hits, [hit.changed for hit in marked.near_misses]) == ((), [changed])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_file_that_became_a_pipe_holds_no_query_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.md")
    (tmp_path / "b.md").symlink_to("a.md")
    index = Index({"a.md": SHA_A, "b.md": SHA_A})
    assert mark_changed(result("a.md", "b.md"), index, tmp_path) == result("a.md", "b.md")


def test_texts_without_files_are_left_alone(tmp_path: Path) -> None:
    """The id of a BEIR document is not a path."""
    assert mark_changed(result("4983", "nowhere/at/all/a.md"), Index({}), tmp_path) == result(
        "4983", "nowhere/at/all/a.md"
    )
