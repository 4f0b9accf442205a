"""A file without a date of its own has that of its last commit, whatever the work tree's configuration asks for."""

import os
import subprocess
from pathlib import Path

import pytest

from rag_search.documents import SourceFile, read_parsed
from rag_search.documents.git_dates import CommitDays

NAMES = ["a b.md", "deep/中文.md", 'quo"te.md', "tab\there.md", "-dash.md"]


def git(folder: Path, *arguments: str, day: str = "2020-05-06") -> None:
    own = {"GIT_COMMITTER_DATE": f"{day}T12:00:00Z", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@localhost", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | own)


@pytest.fixture
def work_tree(tmp_path: Path) -> Path:
    """A work tree with two commits; the second one changes the first file."""
    for name in NAMES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\n", "utf-8")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "one")
    (tmp_path / NAMES[0]).write_text("two\n", "utf-8")
    git(tmp_path, "commit", "-a", "-m", "two", day="2022-01-02")
    (tmp_path / "new.md").write_text("not committed\n", "utf-8")
    return tmp_path


def test_the_day_of_the_last_commit(work_tree: Path) -> None:
    days = CommitDays([work_tree / name for name in NAMES])
    assert [days.day(work_tree / name) for name in NAMES] == ["2022-01-02", *["2020-05-06"] * 4]
    assert days.day(work_tree / "new.md") == ""


def test_outside_of_a_work_tree(tmp_path: Path) -> None:
    assert CommitDays([]).day(tmp_path / "a.md") == ""


def test_without_git(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert CommitDays([]).day(work_tree / NAMES[0]) == ""


def test_a_variable_of_git_does_not_lead_elsewhere(work_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(work_tree / "elsewhere"))
    assert CommitDays([]).day(work_tree / NAMES[0]) == "2022-01-02"


def test_no_command_of_the_configuration_is_run(work_tree: Path) -> None:
    """Git would run these for a log or a list of files."""
    trap = work_tree / "trap.sh"
    trap.write_text(f"#!/bin/sh\ntouch {work_tree}/sprung\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "gpg.program", "core.pager", "diff.external", "pager.log"):
        git(work_tree, "config", key, str(trap))
    git(work_tree, "config", "log.showSignature", "true")
    assert CommitDays([]).day(work_tree / NAMES[0]) == "2022-01-02"
    assert not (work_tree / "sprung").exists()


def test_a_document_says_where_its_date_is_from(work_tree: Path) -> None:
    (work_tree / "own.md").write_text("---\nupdated: 2024-03-04\n---\n\ntext\n")
    days = CommitDays([])

    def dated(name: str) -> tuple[str, str]:
        file = work_tree / name
        source = SourceFile(name, str(file), file.stat().st_size, 0)
        document, _ = read_parsed(source, commit_days=days)
        return document.updated, document.updated_from

    assert dated("own.md") == ("2024-03-04", "metadata")
    assert dated(NAMES[0]) == ("2022-01-02", "git")
    os.utime(work_tree / "new.md", (1_700_000_000, 1_700_000_000))
    assert dated("new.md") == ("2023-11-14", "file")
