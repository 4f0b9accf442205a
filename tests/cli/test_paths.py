"""An index opened from another folder, a project that is moved or copied, a folder that is gone."""

import json
import shutil
from pathlib import Path

import pytest

from tests.support.project import Run


def paths_of(run: Run, *args: str) -> set[str]:
    done = run("query", "kafka", "--min-score", "0", "--format", "json", *args)
    return {hit["path"] for hit in json.loads(done.out)["hits"]}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("index", ["indexes/default", "other/index"])
@pytest.mark.parametrize("in_a_project", [False, True])
def test_paths_are_the_same_from_anywhere(
    project: Path, run: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch, index: str, in_a_project: bool
) -> None:
    run("ingest", "docs", "--index", f"./{index}")
    if in_a_project:
        (elsewhere / "ragsearch.toml").touch()
    monkeypatch.chdir(elsewhere)
    found = paths_of(run, "--index", str(project / index))
    assert found == {str(project / "docs" / name) for name in ("redis.md", "backup.md", "deep/kafka.md")}
    assert paths_of(run, "--index", f"../project/{index}") == found
    report = json.loads(run("ingest", str(project / "docs"), "--index", str(project / index), "--json").out)
    assert (report["new"], report["unchanged"], report["removed"]) == (0, 3, 0)


def test_an_index_outside_of_its_project_notes_where_that_is(
    project: Path, run: Run, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("ingest", "docs", "--index", str(elsewhere / "index"))
    monkeypatch.chdir(elsewhere)
    assert str(project / "docs" / "redis.md") in paths_of(run, "--index", "./index")


def test_a_copied_and_a_moved_project_sync_their_own_folders(
    indexed: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(indexed, tmp_path / "copy"))
    (indexed / "docs" / "only-there.md").write_text("# There\n", "utf-8")
    (copy / "docs" / "only-here.md").write_text("# Here\n", "utf-8")
    monkeypatch.chdir(copy)
    assert json.loads(run("ingest", "--json").out)["new"] == 1
    assert "docs/only-here.md" in paths_of(run)
    assert json.loads(run("status", "--json").out)["roots"] == [str(copy / "docs")]
    moved = copy.rename(tmp_path / "moved")
    monkeypatch.chdir(moved)
    report = json.loads(run("ingest", "--json").out)
    assert (report["new"], report["unchanged"], report["removed"]) == (0, 4, 0)


def test_a_folder_that_is_gone_is_said_with_the_way_out(indexed: Path, run: Run) -> None:
    (indexed / "more").mkdir()
    (indexed / "more" / "x.md").write_text("# More\n", "utf-8")
    run("ingest", "more")
    shutil.rmtree(indexed / "more")
    done = run("ingest")
    assert (done.code, f"{indexed / 'more'} no longer exists" in done.err) == (2, True)
    way_out = done.err.partition("ragsearch ")[2].split()
    assert way_out == ["remove", str(indexed / "more")]
    assert json.loads(run(*way_out, "--json").out)["removed"] == ["more/x.md"]
    assert run("ingest").code == 0
    shutil.rmtree(indexed / "docs")  # the last folder
    way_out = run("ingest").err.partition("ragsearch ")[2].split()
    assert len(json.loads(run(*way_out, "--json").out)["removed"]) == 3
    assert "has no folder yet" in run("ingest").err


def test_a_dry_run_spares_what_another_root_leads_to(indexed: Path, run: Run) -> None:
    (indexed / "docs" / "notes.txt").write_text("notes\n", "utf-8")
    run("ingest", "docs/notes.txt")
    assert json.loads(run("ingest", "docs", "--dry-run", "--json").out)["removed"] == []
