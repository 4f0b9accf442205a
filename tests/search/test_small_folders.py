"""Small folders through the builtin engine: names of documents, common tags, rows of tables."""

from pathlib import Path

import pytest

from rag_search import api
from rag_search.records import SearchOptions

QUERY = "redis pool is exhausted"


def best(folder: Path, tags: str, monkeypatch: pytest.MonkeyPatch, *, query: str = QUERY) -> list[str]:
    """Return the paths of the hits, best first, in a folder whose notes all have the tags, but the answer has none."""
    (folder / "docs").mkdir(parents=True)
    (folder / "ragsearch.toml").touch()
    for number in range(30):
        text = f"---\ntags: [{tags}]\n---\n\n# Note {number}\n\nThe gardener planted row {number} with beans.\n"
        (folder / "docs" / f"{number}.md").write_text(text, "utf-8")
    answer = "# When the pool runs dry\n\nRedis refuses clients once every connection of the pool is exhausted.\n"
    (folder / "docs" / "pool.md").write_text(answer, "utf-8")
    (folder / "docs" / "named.md").write_text("---\naliases: [kelp]\n---\n\n# One queue\n\nA noisy tenant.\n", "utf-8")
    monkeypatch.chdir(folder)
    settings = {"profile": "builtin"}
    api.ingest(["docs"], settings=settings)
    options = SearchOptions(top_k=5, min_score=float("-inf"))
    return [hit.chunk.path for hit in api.query(query, settings=settings, options=options).hits]


def test_a_common_tag_does_not_swamp_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert best(tmp_path, "redis, pool", monkeypatch)[0] == "docs/pool.md"


def test_a_rare_name_finds_its_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert best(tmp_path, "redis, pool", monkeypatch, query="kelp")[0] == "docs/named.md"


FISH = ("Anchovy", "Barbel", "Carp", "Dace", "Eel", "Flounder", "Gurnard", "Herring", "Ide", "Loach", "Minnow", "Perch")


@pytest.mark.parametrize("question", ["{}", "{} retention", "how long does {} keep data"])
def test_the_row_of_a_table_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    """Rows are alike to the model; the one with the name that was asked for is the sentence and the line."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "ragsearch.toml").touch()
    rows = "".join(f"| {name} | {3 + 2 * n} | {7 * n + 7} days | {4 + n} EUR |\n" for n, name in enumerate(FISH))
    table = f"# Plans\n\nWhat each plan has.\n\n| Plan | Seats | Retention | Price |\n|---|---|---|---|\n{rows}"
    (tmp_path / "docs" / "plans.md").write_text(table, "utf-8")
    monkeypatch.chdir(tmp_path)
    settings = {"profile": "builtin"}
    api.ingest(["docs"], settings=settings)
    with api.searching(settings=settings) as searcher:
        for n, name in enumerate(FISH):
            hit = searcher.search(question.format(name), SearchOptions(min_score=float("-inf"))).hits[0]
            assert (hit.line_best, hit.sentence.split(" ")[0]) == (7 + n, name)
