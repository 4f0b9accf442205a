"""Several projects on one machine: each has an index, none answers for another."""

import json
import unicodedata
from pathlib import Path

import pytest

from rag_search.cli.serve import index_problem
from rag_search.config import load_config
from tests.support.project import Run


@pytest.fixture
def two(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two work trees without settings, each ingested; the working folder is the first."""
    monkeypatch.setenv("XDG_DATA_HOME", str(project.parent / "data"))
    (project / "ragsearch.toml").unlink()
    other = project.parent / "other"
    (other / "notes").mkdir(parents=True)
    (other / "notes" / "tea.md").write_text("# Tea\n\nGreen tea wants water of 70 degrees.\n", "utf-8")
    for folder in (project, other):
        (folder / ".git").mkdir()
        monkeypatch.chdir(folder)
        assert run("ingest", ".").code == 0
    monkeypatch.chdir(project)
    return project, other


def test_each_work_tree_answers_for_itself(two: tuple[Path, Path], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same question has other documents in another project, and paths as seen from a folder inside."""
    everything = ["--min-score", "0", "-l"]
    assert "docs/redis.md" in run("query", "how", *everything).out.split()
    monkeypatch.chdir(two[1] / "notes")
    assert run("query", "how", *everything).out == "tea.md\n"
    monkeypatch.chdir(two[0].parent)
    assert "2 projects below this folder" in run("query", "how").err


def test_an_index_is_named_by_its_project(two: tuple[Path, Path], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """--index takes the folder that `index list` prints, from anywhere; paths are those of that project."""
    monkeypatch.chdir(two[0].parent)
    everything = ["--min-score", "0", "-l"]
    assert run("query", "how", "--index", str(two[1]), *everything).out == "other/notes/tea.md\n"
    assert run("query", "how", "--index", "other/", *everything).out == "other/notes/tea.md\n"
    index = json.loads(run("index", "list", "--json").out)[0]["index"]
    assert run("query", "how", "--index", index, *everything).out == "other/notes/tea.md\n"


def test_an_ingest_of_another_project_says_how_to_ask_it(two: tuple[Path, Path], run: Run) -> None:
    """A query in the working folder would be about its own project."""
    assert run("ingest", ".").err.endswith('next: ragsearch query "your question"\n')
    assert run("ingest", "../other").err.endswith(f'next: ragsearch query --index {two[1]} "your question"\n')
    assert run("ingest", "docs", "--index", "apart").err.endswith('query --index apart "your question"\n')
    assert run("query", "how", "--index", str(two[1]), "--min-score", "0", "-l").out.endswith("other/notes/tea.md\n")


def test_a_mistyped_path_makes_no_project(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that is ingested after all is one of its own, and its folder answers for it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(project.parent / "data"))
    (project / "ragsearch.toml").unlink()
    assert run("ingest", "docz").code == 2
    assert json.loads(run("index", "list", "--json").out) == []
    assert run("ingest", "docs").code == 0
    assert [row["name"] for row in json.loads(run("index", "list", "--json").out)] == [str(project / "docs")]
    assert run("query", "how", "--min-score", "0", "-l").code == 0


def test_folders_beside_those_ingested_stay_apart(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders have the index of the folder around them, which is not the project of a third."""
    monkeypatch.setenv("XDG_DATA_HOME", str(project.parent / "data"))
    (project / "ragsearch.toml").unlink()
    for name, word in (("more", "okapi"), ("third", "tapir")):
        (project / name).mkdir()
        (project / name / "a.md").write_text(f"# A\n\nThe {word} eats.\n", "utf-8")
    assert run("ingest", "docs", "more").code == 0
    monkeypatch.chdir(project / "third")
    assert "there is no index" in run("query", "okapi").err
    assert run("ingest", ".", "--only").code == 0
    assert run("query", "okapi tapir", "--min-score", "0", "-l").out == "a.md\n"
    monkeypatch.chdir(project / "more")
    assert "../" not in run("list").out
    assert run("list").out.split()[-1] == "a.md"


def test_index_list_and_remove(two: tuple[Path, Path], run: Run) -> None:
    first, second = two
    rows = json.loads(run("index", "list", "--json").out)
    assert [(row["name"], row["documents"], row["is_used_here"]) for row in rows] == [
        (str(second), 1, False),
        (str(first), 3, True),
    ]
    assert f"* {first}  3 documents, " in run("index", "list").out
    assert "Pass --yes" in run("index", "remove", str(second)).err
    assert run("index", "remove", str(second), "--yes").code == 0
    assert [row["name"] for row in json.loads(run("index", "list", "--json").out)] == [str(first)]
    assert run("index", "remove", "nothing", "--yes").code == 2
    assert (second / "notes" / "tea.md").exists()


def test_only_an_index_is_removed(indexed: Path, run: Run) -> None:
    """Whatever else somebody keeps in a folder called `indexes` stays."""
    kept = indexed / "indexes" / "definitions" / "a.json"
    kept.parent.mkdir()
    kept.touch()
    assert [Path(row["index"]).name for row in json.loads(run("index", "list", "--json").out)] == ["default"]
    assert run("index", "remove", str(kept.parent), "--yes").code == 2
    assert kept.exists()
    assert run("index", "remove", str(indexed / "indexes" / "default"), "--yes").code == 0
    assert [path.name for path in (indexed / "indexes").iterdir() if path.is_dir()] == ["definitions"]


def test_remove_takes_documents_out(indexed: Path, run: Run) -> None:
    """Files stay on disk; a folder inside a root comes back with the next ingest, which is said."""
    done = run("remove", "docs/deep")
    assert (done.code, done.out) == (0, "removed 1 document\n")
    assert ".ragsearchignore" in done.err
    assert run("list").out.split() == ["docs/backup.md", "docs/redis.md"]
    assert (indexed / "docs" / "deep" / "kafka.md").exists()
    assert json.loads(run("remove", "docs", "--json").out) == {"removed": ["docs/backup.md", "docs/redis.md"]}
    assert json.loads(run("status", "--json").out)["roots"] == []
    assert run("remove", "docs").code == 2


def test_remove_here_spares_what_is_elsewhere(indexed: Path, run: Run) -> None:
    """`.` is the project, and not what was ingested from a folder beside it."""
    (indexed.parent / "beside").mkdir()
    (indexed.parent / "beside" / "a.md").write_text("# Beside\n", "utf-8")
    run("ingest", "../beside")
    assert len(json.loads(run("remove", ".", "--json").out)["removed"]) == 3
    assert run("list").out == f"{indexed.parent / 'beside' / 'a.md'}\n"


def test_remove_and_get_take_paths_above(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(indexed / "docs" / "deep")
    assert run("get", "../redis.md:1").out == run("get", str(indexed / "docs" / "redis.md:1")).out != ""
    assert json.loads(run("remove", "../redis.md", "--json").out) == {"removed": [str(indexed / "docs" / "redis.md")]}
    assert len(json.loads(run("remove", "../../docs/", "--json").out)["removed"]) == 2


def test_get_and_remove_take_either_unicode_form(project: Path, run: Run) -> None:
    """A file system may hold an accent as a character of its own, and a keyboard types one with its letter."""
    name = "docs/Café.md"
    (project / unicodedata.normalize("NFD", name)).write_text("# Menu\n\nTea and cake.\n", "utf-8")
    assert run("ingest", "docs").code == 0
    typed = unicodedata.normalize("NFC", name)
    assert typed not in run("list").out
    assert run("get", f"{typed}:3").out == "Tea and cake.\n"
    assert json.loads(run("query", "--like", f"{typed}:3", "--min-score", "0", "--json").out)["hits"]
    assert len(json.loads(run("remove", typed, "--json").out)["removed"]) == 1


def test_a_server_without_an_index_says_so(indexed: Path) -> None:
    """It listens for reranking and embeddings, and names what a search needs."""
    assert index_problem(load_config({})) == ""
    problem = index_problem(load_config({"index": "other"}))
    assert "there is no index at" in problem
    assert problem.endswith("Run: ragsearch ingest PATH")


def test_git_does_not_see_the_indexes(indexed: Path) -> None:
    assert (indexed / "indexes" / ".gitignore").read_text() == "*\n"
    assert sorted(path.name for path in (indexed / "indexes").iterdir()) == [".gitignore", "default"]


def test_store_copy_between_folders(indexed: Path, run: Run) -> None:
    """A copy answers as its source; a second one changes nothing, and nothing is copied to itself."""
    assert "3 documents copied" in run("store", "copy", ".", "./twin").out
    assert "0 documents copied (0 chunks), 3 unchanged" in run("store", "copy", ".", "./twin").out
    asked = ("query", "how", "--min-score", "0", "-l")
    assert run(*asked, "--index", "./twin").out == run(*asked).out
    refused = run("store", "copy", ".", ".", "--rebuild")
    assert refused.code == 2
    assert "cannot be copied to itself" in refused.err
    assert run(*asked).out


def test_no_folder_is_used_beside_a_database(indexed: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search asks the database, so the list marks none of the folders."""
    assert [row["is_used_here"] for row in json.loads(run("index", "list", "--json").out)] == [True]
    monkeypatch.setenv("RAGSEARCH_STORE__URL", "postgresql://127.0.0.1/search")
    assert [row["is_used_here"] for row in json.loads(run("index", "list", "--json").out)] == [False]
