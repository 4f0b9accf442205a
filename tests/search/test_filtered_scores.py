"""A score does not change when a filter takes other documents away."""

from dataclasses import replace
from pathlib import Path

import pytest

from rag_search import api
from rag_search.records import SearchOptions

TEXTS = {
    "pool": "The Redis pool is exhausted when every connection is lent. Raise maxTotal.",
    "timeout": "A connection to Redis times out after two seconds. The pool is fine then.",
    "kafka": "Consumers of a group share the partitions of a topic.",
    "lag": "Consumer lag grows while one partition is slow.",
    "backup": "Dump the database every night and copy it away.",
    "restore": "Restore the dump into an empty database.",
    "tea": "Steep the tea for four minutes.",
    "roof": "The north wall and the roof were checked.",
}
FILTERS = [("docs/pool.md", "docs/tea.md"), ("docs/timeout.md",), ("docs/roof.md", "docs/restore.md", "docs/lag.md")]


def test_a_filter_changes_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with fewer candidates than documents, so that a filter brings in what would not be one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ragsearch.toml").touch()
    (tmp_path / "docs").mkdir()
    for name, text in TEXTS.items():
        (tmp_path / "docs" / f"{name}.md").write_text(f"# {name.title()}\n\n{text}\n", "utf-8")
    settings = {"profile": "builtin"}
    api.ingest(["docs"], settings=settings)
    with api.searching(settings=settings) as searcher:
        for query in ("redis pool exhausted", "which connection times out", "maxTotal", "[for experts] slow consumer"):
            options = SearchOptions(candidates=4, top_k=8, min_score=float("-inf"))
            whole = searcher.search(query, options)
            scores = {hit.chunk.path: hit.score for hit in whole.hits}
            assert set(scores) == {f"docs/{name}.md" for name in TEXTS}
            for paths in FILTERS:
                found = searcher.search(query, replace(options, paths=paths))
                assert {hit.chunk.path for hit in found.hits} == set(paths)
                for hit in found.hits:
                    assert hit.score == pytest.approx(scores[hit.chunk.path], abs=1e-6), (query, hit.chunk.path)
