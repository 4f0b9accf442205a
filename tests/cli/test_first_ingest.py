"""A query without an index ingests the folder of the project first, if it is small and somebody agrees."""

import io
import sys
from pathlib import Path

import pytest

from rag_search.cli import first_ingest
from tests.support.project import Run


class Typed(io.StringIO):
    """What is typed on a terminal."""

    def isatty(self) -> bool:
        return True


def test_yes_ingests_without_asking(project: Path, run: Run) -> None:
    found = run("query", "连接超时", "--yes", "--no-server", "--format", "files")
    assert (found.code, found.out.split(":")[0]) == (0, "docs/redis.md")
    assert run("list").out.split() == ["docs/backup.md", "docs/deep/kafka.md", "docs/redis.md"]


def test_a_file_that_fails_is_named(project: Path, run: Run) -> None:
    (project / "docs" / "broken.ipynb").write_text("{", "utf-8")
    found = run("query", "连接超时", "--yes", "--no-server", "--format", "files")
    assert (found.code, found.out.split(":")[0]) == (0, "docs/redis.md")
    assert "docs/broken.ipynb: " in found.err


@pytest.mark.parametrize(("answer", "code"), [("\n", 0), ("y\n", 0), ("n\n", 2)])
def test_a_terminal_is_asked(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr(sys, "stdin", Typed(answer))
    found = run("query", "连接超时", "--no-server", "--format", "files")
    assert found.code == code
    assert f"Ingest {project} (3 files, " in found.err
    assert (project / "indexes").exists() == (code == 0)


def test_a_script_is_told_what_to_run(project: Path, run: Run) -> None:
    """Nothing is ingested without a terminal and without --yes."""
    found = run("query", "连接超时", "--no-server")
    assert found.code == 2
    assert "there is no index at" in found.err
    assert "Run: ragsearch ingest PATH" in found.err
    assert not (project / "indexes").exists()


def test_a_large_folder_is_left_to_ingest(project: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_ingest, "MAX_BYTES", 300)
    found = run("query", "连接超时", "--yes", "--no-server")
    assert found.code == 2
    assert "is too large to be ingested by a query" in found.err
    assert not (project / "indexes").exists()


def test_a_folder_without_documents_is_not_ingested(
    tmp_path: Path, project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert "there is no index at" in run("query", "连接超时", "--yes", "--no-server").err
