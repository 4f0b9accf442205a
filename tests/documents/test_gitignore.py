"""Ignore patterns against `git check-ignore` itself, and in time that does not explode."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rag_search.documents import walk
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


COMMON = st.sampled_from(["a", "b"])
FOLDERS = st.one_of(COMMON, st.sampled_from(["ab", "a b", "é", "[a]", "a.md", "1", "-", "!a", "#b", "a\\b"]))
STEMS = st.one_of(COMMON, st.sampled_from(["ab", "a b", "é", "1", "]", "*", "a\\", "a.b", "aab", "b1", "#a", "!b"]))
FILES = st.builds(lambda folders, stem: "/".join([*folders, f"{stem}.md"]), st.lists(FOLDERS, max_size=3), STEMS)
TREES = st.lists(FILES, min_size=4, max_size=16).map(dict.fromkeys)
RANDOM_LINES = st.builds(
    "".join, st.lists(st.one_of(PIECES, FOLDERS, STEMS, st.sampled_from([".md", "*.md", "/"])), max_size=5)
)
LIKELY_LINES = st.tuples(  # what matches something, so that the order of rules matters
    st.sampled_from(["", "", "!", "!", "/", "!/", "**/", "a/", "!a/"]),
    st.one_of(FOLDERS, STEMS, st.sampled_from(["*", "?", "[a-b]", "a*", "*b"])),
    st.sampled_from(["", "/", ".md", ".md", "*", "/**", "/*.md"]),
).map("".join)
LINES = st.one_of(RANDOM_LINES, LIKELY_LINES, LIKELY_LINES, LIKELY_LINES)
RULES = st.dictionaries(st.integers(0, 20), st.lists(LINES, min_size=1, max_size=5), min_size=1, max_size=5)


def compared(top: Path, files: Iterable[str], rules: Mapping[int, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Make a tree with ignore files, and return what a walk reads of it and what Git does not ignore."""
    repository = Path(tempfile.mkdtemp(dir=top))
    git = ["git", "-c", "core.excludesFile=/dev/null", "-C", str(repository)]
    subprocess.run([*git, "init", "-q", "--template=", str(repository)], check=True)
    made = [file for file in files if make_file(repository / file)]
    folders = sorted({parent for file in made for parent in (repository / file).parents if parent != top.parent})
    folders = [folder for folder in folders if folder.is_relative_to(repository)]
    for number, lines in rules.items():
        (folders[number % len(folders)] / ".gitignore").write_text("\n".join(lines) + "\n", "utf-8")
    done = subprocess.run(
        [*git, "check-ignore", "-z", "--stdin"], check=False, input="\0".join(made).encode(), capture_output=True
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    ignored = set(done.stdout.decode().split("\0"))
    read = sorted(file.path for file in walk([repository], base=repository, on_problem=[].append))
    shutil.rmtree(repository)
    return read, sorted(set(made) - ignored)


def make_file(path: Path) -> bool:
    """Make a file with the folders above it; not where a file is above it or a folder in its place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# A\n", "utf-8")
    except OSError:
        return False
    return True


@settings(max_examples=50)
@given(TREES, RULES)
def test_trees_are_read_as_git_does(repository: Path, files: dict[str, None], rules: dict[int, list[str]]) -> None:
    """Nested ignore files over random trees: a walk reads what Git does not ignore."""
    read, wanted = compared(repository, files, rules)
    assert read == wanted


@pytest.mark.slow
@settings(max_examples=1500)
@given(TREES, RULES)
def test_many_trees_are_read_as_git_does(repository: Path, files: dict[str, None], rules: dict[int, list[str]]) -> None:
    read, wanted = compared(repository, files, rules)
    assert read == wanted


@pytest.mark.slow
@settings(max_examples=1500)
@given(st.lists(PATTERNS, min_size=1, max_size=3))
def test_many_patterns_are_those_of_git(repository: Path, patterns: list[str]) -> None:
    assert ours(patterns, PATHS) == git_ignores(repository, patterns, PATHS)


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
