"""What `ingest --watch` is woken by, and what does not end it."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rag_search
from rag_search.cli.watch import ChangeFilter, follow
from rag_search.errors import FingerprintError, IndexLockedError, InputError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("docs/a.md", "docs/build/b.md", "docs/.git/c.md", "docs/indexes/default/note.md", "docs/logo.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text\n", "utf-8")
    (tmp_path / "docs" / ".gitignore").write_text("build/\n", "utf-8")
    return tmp_path / "docs"


@pytest.mark.parametrize(
    ("name", "wakes"),
    [
        ("a.md", True),
        ("gone.md", True),
        ("gone-folder", True),
        ("new/deep.md", True),
        (".gitignore", True),
        ("build/b.md", False),
        (".git/c.md", False),
        ("indexes/default", False),
        ("indexes/default/note.md", False),
        ("indexes/default/meta.db-wal", False),
        ("logo.png", False),
        ("../beside.md", False),
    ],
)
def test_only_what_an_ingest_reads_wakes_it(folder: Path, name: str, wakes: bool) -> None:
    is_relevant = ChangeFilter([folder], folder / "indexes" / "default")
    assert is_relevant(folder / name if not name.startswith("..") else folder.parent / name[3:]) is wakes


def test_a_file_that_is_named_is_the_only_one_of_its_folder(folder: Path) -> None:
    is_relevant = ChangeFilter([folder / "notes.txt"], folder / "indexes")
    assert is_relevant(folder / "notes.txt")
    assert not is_relevant(folder / "a.md")


def test_through_a_link_it_is_the_same_folder(folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    is_relevant = ChangeFilter([link], folder / "indexes")
    assert (is_relevant(link / "a.md"), is_relevant(folder / "a.md")) == (True, True)
    assert not is_relevant(link / "indexes" / "default" / "note.md")


@contextmanager
def followed(roots: list[Path], index_dir: Path) -> Iterator[Callable[[Callable[[], object]], None]]:
    """`follow` in a thread; what is given changes something, again and again until a sync is seen."""
    synced: queue.Queue[None] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(
        target=follow, args=(roots, lambda: synced.put(None)), kwargs={"index_dir": index_dir, "stop": stop}
    )

    def await_sync(change: Callable[[], object]) -> None:
        while not synced.empty():
            synced.get()
        for _ in range(60):
            change()
            try:
                synced.get(timeout=1)
                return
            except queue.Empty:
                continue
        pytest.fail("no sync")

    thread.start()
    try:
        yield await_sync
    finally:
        stop.set()
        thread.join()


def test_a_file_is_followed_when_an_editor_replaces_it(folder: Path) -> None:
    """Editors write another file and rename it; the watch goes on."""

    def replace() -> None:
        (folder / "a.tmp").write_text("other\n", "utf-8")
        (folder / "a.tmp").rename(folder / "a.md")

    with followed([folder / "a.md"], folder / "indexes") as await_sync:
        await_sync(replace)
        await_sync(replace)


def test_a_folder_is_followed_after_another_one_took_its_place(folder: Path) -> None:
    with followed([folder], folder / "indexes") as await_sync:
        await_sync(lambda: (folder / "a.md").write_text("other\n", "utf-8"))
        folder.rename(folder.with_name("old"))
        await_sync(lambda: folder.mkdir(exist_ok=True))
        await_sync(lambda: (folder / "new.md").write_text("new\n", "utf-8"))


class Failing:
    """A sync that raises each of the errors once, then ends the watch."""

    def __init__(self, stop: threading.Event, *errors: Exception) -> None:
        self.stop, self.errors, self.calls = stop, list(errors), 0

    def __call__(self) -> None:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        self.stop.set()


@pytest.mark.parametrize("error", [IndexLockedError("another process is writing."), InputError("no Markdown files.")])
def test_what_passes_by_itself_does_not_end_the_watch(
    folder: Path, error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    stop = threading.Event()
    sync = Failing(stop, error)
    writing = threading.Thread(target=_write_until, args=(stop, folder))
    writing.start()
    follow([folder], sync, index_dir=folder / "indexes", stop=stop, retry_s=0)
    writing.join()
    assert sync.calls >= 2
    assert f"{error} Waiting" in capsys.readouterr().err


def test_what_needs_somebody_ends_it(folder: Path) -> None:
    stop = threading.Event()
    writing = threading.Thread(target=_write_until, args=(stop, folder))
    writing.start()
    try:
        with pytest.raises(FingerprintError):
            follow([folder], Failing(stop, FingerprintError("other")), index_dir=folder / "indexes", stop=stop)
    finally:
        stop.set()
        writing.join()


def _write_until(stop: threading.Event, folder: Path) -> None:
    for number in range(600):
        (folder / "a.md").write_text(f"text {number}\n", "utf-8")
        if stop.wait(0.1):
            return


def test_every_report_of_a_watch_is_a_line_of_json(project: Path) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "rag_search.cli.app", "ingest", ".", "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(rag_search.__file__).parent.parent)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored where tests run in the background
    )
    with watching:
        assert watching.stdout
        assert watching.stderr
        first = json.loads(watching.stdout.readline())
        assert "watching" in watching.stderr.readline()
        stop = threading.Event()
        writing = threading.Thread(target=_write_until, args=(stop, project / "docs"))
        writing.start()
        second = json.loads(watching.stdout.readline())
        stop.set()
        writing.join()
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=60)
    assert (first["new"], second["new"], watching.returncode) == (3, 1, 0)
