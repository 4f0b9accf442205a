from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from rag_search.documents import Selection, SkippedPath, walk
from rag_search.errors import InputError


def grow(base: Path, *names: str, text: str = "# A\n") -> None:
    for name in names:
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text, encoding="utf-8")


def found(*roots: Path, base: Path) -> tuple[list[str], list[SkippedPath]]:
    problems: list[SkippedPath] = []
    return [file.path for file in walk(roots, base=base, on_problem=problems.append)], problems


def test_markdown_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    grow(tmp_path, "b.md", "a/z.mdx", "a/B.MD", "文档.markdown", "x.qmd", "note.txt", "image.png", "md")
    assert found(tmp_path, base=tmp_path) == (["a/B.MD", "a/z.mdx", "b.md", "x.qmd", "文档.markdown"], [])


def test_size_and_mtime(tmp_path: Path) -> None:
    grow(tmp_path, "a.md", text="四")
    (file,) = walk([tmp_path], base=tmp_path, on_problem=[].append)
    assert (file.absolute, file.size, file.mtime_ns) == (tmp_path / "a.md", 3, (tmp_path / "a.md").stat().st_mtime_ns)


def test_paths_outside_the_base_are_absolute(tmp_path: Path) -> None:
    grow(tmp_path, "base/in.md", "out.md")
    base = tmp_path / "base"
    assert found(base / ".." / "out.md", base, base=base)[0] == [(tmp_path / "out.md").as_posix(), "in.md"]


def test_hidden_and_installed_folders_are_left_out(tmp_path: Path) -> None:
    grow(tmp_path, ".git/a.md", ".hidden/a.md", "node_modules/a.md", ".b.md", "kept/a.md")
    grow(tmp_path, "env2/pyvenv.cfg", "env2/lib/a.md", "conda/conda-meta/history", "conda/share/a.md")
    assert found(tmp_path, base=tmp_path)[0] == ["kept/a.md"]


def test_a_folder_is_no_virtual_environment_by_its_name(tmp_path: Path) -> None:
    grow(tmp_path, "docs/env/vars.md", "venv/a.md", "virtualenv/a.md")
    assert found(tmp_path, base=tmp_path)[0] == ["docs/env/vars.md", "venv/a.md", "virtualenv/a.md"]


def test_ignore_files_at_every_level(tmp_path: Path) -> None:
    grow(tmp_path, "draft-a.md", "sub/draft-b.md", "sub/draft-kept.md", "out/a.md", "sub/out/a.md", "c.md", "sub/c.md")
    grow(tmp_path, ".gitignore", text="draft-*\n/out/\n")
    grow(tmp_path, "sub/.gitignore", text="!draft-kept.md\n")
    grow(tmp_path, "sub/.ragsearchignore", text="c.md\n")
    assert found(tmp_path, base=tmp_path)[0] == ["c.md", "sub/draft-kept.md", "sub/out/a.md"]


def test_the_rules_of_the_work_tree_above_a_root_hold(tmp_path: Path) -> None:
    grow(tmp_path, ".git/config", "docs/a.md", "docs/private/b.md", "built/c.md")
    grow(tmp_path, ".gitignore", text="private/\nbuilt/\n")
    assert found(tmp_path / "docs", base=tmp_path)[0] == ["docs/a.md"]
    assert found(tmp_path / "built", base=tmp_path)[0] == ["built/c.md"], "a root that is named is wanted"


def test_a_root_may_be_a_file_and_every_file_comes_once(tmp_path: Path) -> None:
    grow(tmp_path, "a.md", "notes.txt", "image.png")
    paths, problems = found(tmp_path / "a.md", tmp_path, tmp_path / "notes.txt", tmp_path / "image.png", base=tmp_path)
    assert paths == ["a.md", "notes.txt"]
    assert [(problem.path, problem.failed) for problem in problems] == [("image.png", True)]


def test_links_are_followed_once_and_never_in_circles(tmp_path: Path) -> None:
    grow(tmp_path, "docs/real/a.md", "elsewhere/b.md")
    docs = tmp_path / "docs"
    (docs / "alias").symlink_to(docs / "real")
    (docs / "alias.md").symlink_to(docs / "real" / "a.md")
    (docs / "real" / "up").symlink_to(docs)
    (docs / "other").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "self.md").symlink_to(tmp_path / "elsewhere" / "self.md")
    (docs / "gone.md").symlink_to(docs / "nowhere")
    problems: list[SkippedPath] = []
    follow = Selection(follow_links=True)
    paths = [file.path for file in walk([docs], base=docs, on_problem=problems.append, selection=follow)]
    assert paths == ["real/a.md", "other/b.md"]
    assert [(problem.path, problem.failed) for problem in problems] == [
        ("gone.md", True),
        ("real/up", False),
        ("other/self.md", True),
    ]


def test_links_out_of_the_folders_are_skipped(tmp_path: Path) -> None:
    """A link may lead into another root or the work tree around one; elsewhere it is skipped by name."""
    grow(tmp_path, "docs/a.md", "more/b.md", "secret/c.md", "repo/docs/d.md", "repo/other/e.md", "docs/key.pem")
    (tmp_path / "repo" / ".git").mkdir()
    links = {
        "docs/b.md": "more/b.md",
        "docs/c": "secret",
        "docs/c.md": "secret/c.md",
        "repo/docs/e.md": "repo/other/e.md",
    }
    for name, target in {**links, "docs/key.md": "docs/key.pem", "docs/shadow.md": "secret/gone.md"}.items():
        (tmp_path / name).symlink_to(tmp_path / target)
    roots = [tmp_path / "docs", tmp_path / "repo" / "docs"]
    problems: list[SkippedPath] = []
    paths = [file.path for file in walk(roots, base=tmp_path, on_problem=problems.append)]
    assert paths == ["docs/a.md", "repo/docs/d.md", "repo/docs/e.md"]
    assert {problem.path for problem in problems} == {
        f"docs/{name}" for name in ("b.md", "c", "c.md", "key.md", "shadow.md")
    }
    assert sum("--follow-links" in problem.message for problem in problems) == 3
    paths = [file.path for file in walk([*roots, tmp_path / "more"], base=tmp_path, on_problem=[].append)]
    assert "more/b.md" in paths
    follow = Selection(follow_links=True)
    paths = [file.path for file in walk(roots, base=tmp_path, on_problem=[].append, selection=follow)]
    assert paths == ["docs/a.md", "repo/docs/d.md", "docs/b.md", "docs/c/c.md", "repo/docs/e.md"]


def test_what_is_no_file_or_has_no_name_is_reported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.md"))).write_text("x")
    paths, problems = found(tmp_path, base=tmp_path)
    assert paths == []
    assert [problem.failed for problem in problems] == [True, True]
    assert all(problem.path.encode("utf-8") for problem in problems)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    grow(tmp_path, "a.md", "locked/b.md")
    (tmp_path / "locked").chmod(0)
    paths, problems = found(tmp_path, base=tmp_path)
    (tmp_path / "locked").chmod(0o700)
    assert (paths, [problem.path for problem in problems]) == (["a.md"], ["locked"])


def test_a_file_that_vanishes_during_the_walk_is_reported(tmp_path: Path) -> None:
    grow(tmp_path, "a.md", "b.md")
    problems: list[SkippedPath] = []
    files = walk([tmp_path], base=tmp_path, on_problem=problems.append)
    assert next(files).path == "a.md"
    (tmp_path / "b.md").unlink()
    assert list(files) == []
    assert [(problem.path, problem.failed) for problem in problems] == [("b.md", False)]


def test_an_ignore_file_that_is_not_text_stops_its_folder_only(tmp_path: Path) -> None:
    grow(tmp_path, "a.md", "sub/b.md")
    (tmp_path / "sub" / ".gitignore").write_bytes(b"\xff\xfe\x00")
    paths, problems = found(tmp_path, base=tmp_path)
    assert (paths, [problem.path for problem in problems]) == (["a.md"], ["sub"])


def test_folders_nested_deeper_than_python_calls(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(600):
        deep = deep / "d"
        deep.mkdir()
    (deep / "a.md").write_text("x")
    assert len(found(tmp_path, base=tmp_path)[0]) == 1


def test_patterns_choose_files(tmp_path: Path) -> None:
    """What `--include` matches is read whatever its kind, what `--exclude` matches is not, folders included."""
    grow(tmp_path, "a.md", "notes.txt", "log/b.log", "drafts/c.md", "d.draft.md", "x.png", "LICENSE", ".hidden.txt")
    unread: Counter[str] = Counter()
    selection = Selection(("*.txt", "log/*.log"), ("drafts/", "*.draft.md"))
    files = walk([tmp_path], base=tmp_path, on_problem=[].append, selection=selection, unread=unread)
    assert [file.path for file in files] == ["a.md", "log/b.log", "notes.txt"]
    assert unread == {".png": 1, "no suffix": 1}


def test_a_bad_pattern_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--exclude '\[' is not a pattern"):
        walk([tmp_path], base=tmp_path, on_problem=[].append, selection=Selection(exclude=("[",)))


def test_a_missing_root_names_what_stands_beside_it(tmp_path: Path) -> None:
    grow(tmp_path, "documents/a.md")
    with pytest.raises(InputError, match=r"Did you mean .*documents\?"):
        found(tmp_path / "Documnets" / "deep", base=tmp_path)
