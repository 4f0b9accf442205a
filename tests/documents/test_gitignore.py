"""Ignore patterns against `git check-ignore` itself, and in time that does not explode."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_search.documents.gitignore import parse_rules

PIECES = st.sampled_from(
    [*"ab/*?[]!-^\\# .", "**", "**/", "/**", "[a-b]", "[!a]", "[z-a]", "[[:digit:]]", "[[:alpha:]", "[[:x:]]", "[]a]",
     "[a-]", "[\\]]", "[[:digit:]a-b]", "\\*", "\\ ", "é", "1", "\t", "[-a]", "[a\\-b]"]
)  # fmt: skip
PATTERNS = st.lists(PIECES, max_size=7).map("".join)
NAMES = ("a", "b", "ab", "a.b", "1", "é", "a b", "-", "]", "[", "*", "\\", "#a", "!a", "aab", "a]", "b1", "^", "é1")
PATHS = sorted({*NAMES, *(f"{x}/{y}" for x in NAMES[:8] for y in NAMES[:10]), "a/b/a", "a/b/ab/1", "b/a/b", "a/a/b/b"})
GIT = shutil.which("git")


def git_ignores(repository: Path, patterns: Sequence[str], paths: Sequence[str]) -> set[str]:
    """Return the paths that Git excludes by a pattern about the path itself, not about a folder above it."""
    (repository / ".gitignore").write_text("\n".join(patterns) + "\n", "utf-8")
    done = subprocess.run(
        ["git", "check-ignore", "-z", "-v", "-n", "--no-index", "--stdin"], cwd=repository, check=False,
        input="\0".join(paths).encode(), capture_output=True,
    )  # fmt: skip
    fields = done.stdout.decode().split("\0")
    rows = zip(fields[::4], fields[2::4], fields[3::4], strict=False)
    return {path for source, pattern, path in rows if source and not pattern.startswith("!")}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository: its paths need not exist, and are files."""
    if GIT is None:
        pytest.skip("needs git")
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


def ours(patterns: Sequence[str], paths: Sequence[str]) -> set[str]:
    """Return what our rules exclude, folders first as a walk goes."""
    rules = parse_rules(("\n".join(patterns) + "\n").encode())
    excluded = set()
    for path in paths:
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts))]
        if any(rules.decide(folder, is_folder=True) for folder in above) or rules.decide(path, is_folder=False):
            excluded.add(path)
    return excluded


@settings(max_examples=150)
@given(st.lists(PATTERNS, min_size=1, max_size=3))
@example(["[z-a].b"])
@example(["!"])
@example(["a\\"])
@example(["[[:digit:]]"])
@example(["a**/b"])
@example(["**/a"])
@example(["a/**/b"])
@example(["a/**"])
@example(["/"])
@example(["a/", "!a"])
@example(["*", "!a", "!b/"])
@example(["\\#a", "\\!a"])
@example(["a\\ "])
@example(["\\\\ ", "a\\\\\\ "])
@example(["?"])
def test_patterns_are_those_of_git(repository: Path, patterns: list[str]) -> None:
    """Every path is excluded where Git excludes it, and nowhere else."""
    assert ours(patterns, PATHS) == git_ignores(repository, patterns, PATHS)


@pytest.mark.parametrize("pattern", ["*a" * 30 + "b", "**/a" * 30 + "/b", "a/" + "*a" * 30 + "/*b", "*?" * 40 + "b"])
def test_time_does_not_explode(pattern: str) -> None:
    """A pattern that goes back at every star would take longer than the universe has."""
    rules = parse_rules(pattern.encode())
    start = time.process_time()
    rules.decide("a" * 2000, is_folder=False)
    rules.decide("a/" * 1000 + "c", is_folder=False)
    assert time.process_time() - start < 5


def test_lines_of_windows_and_a_byte_order_mark() -> None:
    rules = parse_rules(b"\xef\xbb\xbfa\r\n!b\r\n")
    assert [rules.decide(name, is_folder=False) for name in ("a", "b", "c")] == [True, False, None]
