"""An index of another user, in a folder that only that user may write to, as the user `nobody` reads it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_search.index import open_writer
from tests.index.world import MANIFEST, item, put

NOBODY = 65534
REPOSITORY = Path(__file__).parents[2]
READER = """
import sys
from pathlib import Path
from rag_search.errors import IndexStoreError
from rag_search.index import open_reader
folder = Path(sys.argv[1])
reader = open_reader(folder)
for line in sys.stdin:
    if reader.is_stale():
        reader.close()
        reader = open_reader(folder)
    found, _ = reader.search_lexical(["one"], 9)
    if line == "pause\\n":
        print(len(found), flush=True)
        next(sys.stdin)
    try:
        print(sorted(chunk.path for chunk in reader.chunks(found.tolist())), flush=True)
    except IndexStoreError as error:
        print(error.message, flush=True)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that all may read; those of pytest are closed to all but their owner."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv")
    made = Path(tempfile.mkdtemp(prefix="unwritable-"))
    made.chmod(0o755)
    yield made / "index"
    shutil.rmtree(made)


@contextmanager
def reader(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process of `nobody` that reads the index; a line to it is a query, a line from it what was found."""
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    command += [sys.executable, "-c", READER, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def found(process: subprocess.Popen[str], line: str = "") -> str:
    """Return what the reader finds now. line: "pause" to stop between the ranking and the texts."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def test_a_reader_without_the_right_to_write(folder: Path) -> None:
    """It reads what was committed, sees what the owner adds while it runs, and makes no file."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item("a.md", ["one\n"])])
        writer.commit()
    with reader(folder) as process:
        assert found(process) == "['a.md']"
        with open_writer(folder, MANIFEST) as writer:
            put(writer, [item("b.md", ["one\n"])])
            assert found(process) == "['a.md']"
            writer.commit()
            assert found(process) == "['a.md', 'b.md']"
            put(writer, [item("c.md", ["one\n"])])
            writer.commit()
            assert found(process) == "['a.md', 'b.md', 'c.md']"
        assert found(process) == "['a.md', 'b.md', 'c.md']"
        with open_writer(folder, MANIFEST) as writer:
            writer.remove(["a.md"])
            writer.commit()
            writer.compact()
        assert found(process) == "['b.md', 'c.md']"
    with reader(folder) as process:
        assert found(process) == "['b.md', 'c.md']"
    assert {path.stat().st_uid for path in folder.iterdir()} == {0}


def test_a_query_that_the_owner_overtakes_is_refused(folder: Path) -> None:
    """SQLite takes no locks in such a folder: what was ranked before and read after a write is not an answer."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item(f"{name}.md", ["one\n"]) for name in "abc"])
        writer.commit()
    with reader(folder) as process:
        assert found(process, "pause") == "3"
        with open_writer(folder, MANIFEST) as writer:
            writer.remove(["a.md"])
            put(writer, [item("d.md", ["one\n"])])
            writer.commit()
            writer.compact()
        assert found(process) == f"{folder} was written to while it was read."
        assert found(process) == "['b.md', 'c.md', 'd.md']"
