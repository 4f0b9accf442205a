"""What root never meets: files and folders without rights. As root, the command runs as the user `nobody`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NOBODY = 65534
REPOSITORY = Path(__file__).parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of the user who runs the command; those of pytest are closed to all but root."""
    made = Path(tempfile.mkdtemp(prefix="unprivileged-"))
    made.chmod(0o755)
    for name in ("docs/open", "docs/shut", "home"):
        (made / name).mkdir(parents=True)
    (made / "docs/ragsearch.toml").touch()
    for name in ("a", "b", "open/c", "shut/d"):
        (made / f"docs/{name}.md").write_text(f"# {name}\n\nredis timeout of the pool {name}\n", "utf-8")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def ragsearch(folder: Path, model_cache: Path) -> Command:
    """ragsearch(words...) -> the command as it ended, without the rights of root, in the folder of documents."""
    cache = folder / "cache"
    shutil.copytree(model_cache, cache)
    prefix: list[str] = []
    if os.geteuid() == 0:
        if not shutil.which("setpriv"):
            pytest.skip("needs setpriv")
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        for place in (folder, *folder.rglob("*")):
            os.chown(place, NOBODY, NOBODY)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "PYTHONPATH": str(REPOSITORY)}
    environment |= {"RAGSEARCH_CACHE_DIR": str(cache), "LC_ALL": "C.UTF-8"}

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, sys.executable, "-m", "rag_search", *words],
            cwd=folder / "docs", env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    if call("--version").returncode:
        pytest.skip("the interpreter cannot be run without the rights of root")
    return call


def test_closed_files_and_folders_cost_only_themselves(folder: Path, ragsearch: Command) -> None:
    """They are named, the rest is indexed, and what was indexed of them before stays."""
    first = ragsearch("ingest", ".")
    assert (first.returncode, first.stdout.split(",")[0]) == (0, "4 new"), first.stderr
    (folder / "docs/b.md").chmod(0)
    (folder / "docs/shut").chmod(0)
    (folder / "docs/a.md").write_text("# a\n\nredis timeout, changed\n", "utf-8")
    again = ragsearch("ingest", ".")
    (folder / "docs/shut").chmod(0o755)
    assert again.returncode == 2
    assert "failed  shut: the folder cannot be read: Permission denied" in again.stderr
    assert again.stdout.startswith("0 new, 1 changed, ")
    assert " 0 removed, " in again.stdout
    assert "Traceback" not in again.stderr
    listed = ragsearch("list")
    assert listed.stdout.split() == ["a.md", "b.md", "open/c.md", "shut/d.md"]


def test_an_index_that_may_not_be_written_is_one_error(folder: Path, ragsearch: Command) -> None:
    assert ragsearch("ingest", ".").returncode == 0
    (folder / "docs/a.md").write_text("# a\n\nredis timeout, changed\n", "utf-8")
    index = folder / "docs/indexes/default"
    for place in (*index.iterdir(), index):
        place.chmod(0o500 if place.is_dir() else 0o400)
    done = ragsearch("ingest", ".")
    index.chmod(0o700)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Check the disk and the rights of the folder" in done.stderr


def test_a_folder_above_without_rights(folder: Path, ragsearch: Command) -> None:
    """The search for a project above does not end at a folder that shows nothing."""
    assert ragsearch("ingest", ".").returncode == 0
    (folder / "docs/ragsearch.toml").unlink()
    folder.chmod(0o711)
    done = ragsearch("status", "--index", "indexes/default")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
