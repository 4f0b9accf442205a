"""Which index a folder has, without any file of settings."""

from pathlib import Path

import pytest

from rag_search.config import load_config
from rag_search.config.projects import Project, ignore_indexes, known_projects, project_at, project_of
from rag_search.errors import InputError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def folder(tmp_path: Path, name: str, *, git: bool = False) -> Path:
    (tmp_path / name).mkdir(parents=True, exist_ok=True)
    if git:
        (tmp_path / name / ".git").mkdir()
    return tmp_path / name


def test_a_git_work_tree_is_one_project(tmp_path: Path, data: Path) -> None:
    """Ingest and search mean the work tree from any folder in it; a work tree may have a file as .git."""
    root = folder(tmp_path, "work", git=True)
    docs = folder(tmp_path, "work/docs/deep")
    assert project_of([docs], tmp_path, data).folder == root
    assert project_of([Path("deep")], docs.parent, data).folder == root
    assert project_at(docs, data).folder == root
    linked = folder(tmp_path, "linked")
    (linked / ".git").write_text("gitdir: elsewhere\n")
    assert project_at(linked, data).folder == linked


def test_without_git_it_is_the_folder_ingested(tmp_path: Path, data: Path) -> None:
    """A search finds it in the folder, below it, and from above while it is the only one."""
    docs, deep = folder(tmp_path, "notes/docs"), folder(tmp_path, "notes/docs/deep")
    project = project_of([Path("docs")], tmp_path / "notes", data)
    assert project.folder == docs
    assert project_at(docs, data).is_known is False
    project.record()
    for cwd in (docs, deep, tmp_path / "notes", tmp_path):
        assert project_at(cwd, data).index_dir == project.index_dir
    assert project_of([docs / "a.md"], tmp_path, data).folder == docs


def test_another_project_never_answers(tmp_path: Path, data: Path) -> None:
    """A folder beside the project has an index of its own, which does not exist yet."""
    project_of([folder(tmp_path, "one")], tmp_path, data).record()
    two = folder(tmp_path, "two")
    assert project_at(two, data) == Project.of(two, data)
    assert not project_at(two, data).is_known


def test_two_projects_below_are_not_guessed(tmp_path: Path, data: Path) -> None:
    for name in ("one", "two"):
        project_of([folder(tmp_path, name)], tmp_path, data).record()
    with pytest.raises(InputError, match="2 projects below this folder"):
        project_at(tmp_path, data)
    assert [project.folder.name for project in known_projects(data)] == ["one", "two"]
    both = project_of([Path("one"), Path("two")], tmp_path, data)
    assert both.folder == tmp_path
    both.record()
    assert project_at(tmp_path, data) == both


def test_of_many_projects_some_are_named(tmp_path: Path, data: Path) -> None:
    for number in range(6):
        project_of([folder(tmp_path, f"p{number}")], tmp_path, data).record()
    with pytest.raises(InputError, match=r"^6 projects .*/p3 and 2 more \(ragsearch index list\)") as caught:
        project_at(tmp_path, data)
    assert "p4" not in str(caught.value)


def test_the_folder_around_two_is_about_them_only(tmp_path: Path, data: Path) -> None:
    """Folders beside those that were ingested together have indexes of their own."""
    one, two = folder(tmp_path, "one/deep").parent, folder(tmp_path, "two")
    project_of([one, two], tmp_path, data).record()
    (tmp_path / "note.md").touch()
    for cwd in (tmp_path, one, one / "deep", two):
        assert project_at(cwd, data).folder == tmp_path
        assert project_of([cwd], tmp_path, data).folder == tmp_path
    three = folder(tmp_path, "three")
    assert project_at(three, data) == project_of([three], tmp_path, data) == Project.of(three, data)
    project_of([Path("note.md"), three], tmp_path, data).record()  # the folder around both is the same one
    assert project_at(three, data).folder == tmp_path


def test_a_project_without_roots_is_about_all(tmp_path: Path, data: Path) -> None:
    """That of an older version stays as it was, also when it is ingested again."""
    one = folder(tmp_path, "one")
    Project.of(tmp_path, data).record()
    project_of([one, tmp_path], tmp_path, data).record()
    assert project_at(folder(tmp_path, "two"), data).folder == tmp_path


def test_names_that_differ_in_the_path_only(tmp_path: Path, data: Path) -> None:
    one, two = (Project.of(tmp_path / name / "docs", data) for name in ("a", "b"))
    assert one.home.name.startswith("docs-")
    assert one.home != two.home


def test_settings_choose_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ragsearch.toml keeps its indexes beside it; a name without one is in the data folder."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    work = folder(tmp_path, "work", git=True)
    data = tmp_path / "data" / "ragsearch"
    assert load_config(cwd=work).index_dir == Project.of(work, data).index_dir
    assert load_config({"index": "shared"}, cwd=work).index_dir == data / "indexes" / "shared"
    (work / "ragsearch.toml").touch()
    assert load_config(cwd=work).index_dir == work / "indexes" / "default"


def test_git_ignores_the_indexes(tmp_path: Path) -> None:
    ignore_indexes(tmp_path / "indexes")
    assert (tmp_path / "indexes" / ".gitignore").read_text() == "*\n"
    (tmp_path / "indexes" / ".gitignore").write_text("mine\n")
    ignore_indexes(tmp_path / "indexes")
    assert (tmp_path / "indexes" / ".gitignore").read_text() == "mine\n"
