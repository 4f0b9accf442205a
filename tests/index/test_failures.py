"""Disks that fail: every single call of the store to the disk, short writes, a file system that is full."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rag_search.errors import IndexStoreError
from rag_search.index import IndexWriter, open_reader, open_writer, verify
from rag_search.index.store.disk import Disk
from tests.index.world import MANIFEST, assert_holds, item, put

BASE = {each.path: each for each in (item(f"{i}.md", [f"base{i} one\n", f"base{i} two\n"]) for i in range(40))}
NEW = item("new.md", ["entirely new\n"])


class FailingDisk(Disk):
    """Fails at the call `fail_at` (1 is the first) and at every later one, as a broken disk does."""

    def __init__(self, fail_at: int, code: int = errno.EIO) -> None:
        self.calls = 0
        self._fail_at = fail_at
        self._code = code

    def _step(self, path: Path | None = None) -> None:
        self.calls += 1
        if self.calls >= self._fail_at:
            raise OSError(self._code, os.strerror(self._code), path and str(path))

    def create(self, path: Path) -> int:
        self._step(path)
        return super().create(path)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        try:
            self._step()
        except OSError:
            super().write(fd, data[: len(data) // 2], offset)  # some of it arrives
            raise
        return super().write(fd, data, offset)

    def sync(self, fd: int) -> None:
        self._step()
        super().sync(fd)

    def sync_folder(self, folder: Path) -> None:
        self._step(folder)
        super().sync_folder(folder)

    def truncate(self, fd: int, size: int) -> None:
        self._step()
        super().truncate(fd, size)

    def rename(self, source: Path, target: Path) -> None:
        self._step(target)
        super().rename(source, target)

    def remove(self, path: Path) -> None:
        self._step(path)
        super().remove(path)


class ThriftyDisk(Disk):
    """Writes at most seven bytes a call, which the system call allows."""

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        return super().write(fd, data[:7], offset)


def _add(writer: IndexWriter) -> None:
    put(writer, [NEW])
    writer.commit()


def _compact(writer: IndexWriter) -> None:
    writer.compact()


def _build_derived(writer: IndexWriter) -> None:
    writer.build_derived()


@pytest.fixture
def filled(folder: Path) -> Path:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, BASE.values())
        writer.commit()
    return folder


@pytest.mark.parametrize("action", [_add, _compact, _build_derived])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_every_call_may_fail(filled: Path, action: Callable[[IndexWriter], None], code: int) -> None:
    """Call after call is made to fail until the action gets through; what was committed is there each time."""
    for fail_at in range(1, 100):
        disk = FailingDisk(10**9, code)
        with open_writer(filled, MANIFEST, disk=disk) as writer:
            disk._fail_at = disk.calls + fail_at
            try:
                action(writer)
            except IndexStoreError as error:
                assert str(filled) in error.message
                assert ("Free some space" if code == errno.ENOSPC else "Check the disk") in error.remedy
                with pytest.raises(IndexStoreError, match="Open a new writer"):
                    list(writer.files())
            else:
                break
        with open_reader(filled) as reader:
            expected = BASE if NEW.path not in reader.documents() else {**BASE, NEW.path: NEW}
            assert_holds(reader, expected)
    assert fail_at > 2
    open_writer(filled, MANIFEST).close()
    assert verify(filled) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_recovery_that_fails_leaves_no_file_open(filled: Path) -> None:
    (filled / "vectors-000009.f16").touch()  # to be removed by the next writer
    with pytest.raises(IndexStoreError, match="vectors-000009"):
        open_writer(filled, MANIFEST, disk=FailingDisk(1))
    places = [str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert [place for place in places if place.startswith(str(filled))] == []


@pytest.mark.parametrize("fail_at", range(1, 9))
def test_a_failed_creation_is_made_up_for(folder: Path, fail_at: int) -> None:
    with pytest.raises(IndexStoreError, match=str(folder)):
        open_writer(folder, MANIFEST, disk=FailingDisk(fail_at))
    with open_writer(folder, MANIFEST) as writer:
        put(writer, BASE.values())
        writer.commit()
    assert verify(folder) == []
    with pytest.raises(IndexStoreError, match=str(folder)):
        open_writer(folder, MANIFEST, rebuild=True, disk=FailingDisk(fail_at))
    with open_writer(folder, MANIFEST) as writer:
        assert len(list(writer.files())) == (len(BASE) if fail_at == 1 else 0)  # 1: before meta.db was removed
    assert verify(folder) == []


def test_short_writes_are_completed(folder: Path) -> None:
    with open_writer(folder, MANIFEST, disk=ThriftyDisk()) as writer:
        put(writer, BASE.values())
        writer.commit()
        writer.compact()
        writer.build_derived()
    with open_reader(folder) as reader:
        assert_holds(reader, BASE)
    assert verify(folder) == []


_FILL = """
import resource, signal, sys
from pathlib import Path
from rag_search.errors import IndexStoreError
from rag_search.index import open_writer
from tests.index.world import MANIFEST, item, put

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the limit is an error then, like a full disk
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
with open_writer(Path(sys.argv[1]), MANIFEST) as writer:
    for number in range(10_000):
        try:
            put(writer, [item(f"{number}.md", [f"word{number} {'x' * 200} {part}\\n" for part in range(8)])])
            writer.commit()
        except IndexStoreError as error:
            print(error.remedy)
            break
        print(number, flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kib", [150, 400, 900])
def test_files_that_may_not_grow(folder: Path, kib: int) -> None:
    """A limit on the size of files stops segments, database and log in turn, as a full disk does."""
    run = subprocess.run(
        [sys.executable, "-c", _FILL, str(folder), str(kib * 1024)], capture_output=True, text=True, check=True
    )
    *acknowledged, remedy = run.stdout.splitlines()
    assert remedy.startswith(("Free some space", "Check the disk")), run.stdout
    _assert_prefix(folder, len(acknowledged))


@pytest.mark.slow
def test_a_full_file_system(tmp_path: Path) -> None:
    """On a small tmpfs, where the user may mount one: nothing is lost, and after freeing space it goes on."""
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs")
    try:
        ballast = mount / "ballast"
        ballast.write_bytes(bytes(200 * 1024))
        folder = mount / "index"
        run = subprocess.run(
            [sys.executable, "-c", _FILL, str(folder), str(2**40)], capture_output=True, text=True, check=True
        )
        *acknowledged, remedy = run.stdout.splitlines()
        assert remedy.startswith("Free some space"), run.stdout
        ballast.unlink()
        _assert_prefix(folder, len(acknowledged))
    finally:
        subprocess.run(["umount", mount], check=True)


def _assert_prefix(folder: Path, acknowledged: int) -> None:
    """Exactly the acknowledged documents are there, and writing goes on."""
    with open_writer(folder, MANIFEST) as writer:
        assert [path for path, _ in writer.files()] == sorted(f"{number}.md" for number in range(acknowledged))
        put(writer, [NEW])
        writer.commit()
    assert verify(folder) == []
    with open_reader(folder) as reader:
        assert reader.document(NEW.path) == NEW.document


def test_a_full_database(filled: Path) -> None:
    """SQLite itself runs out of space in the middle of a transaction."""
    with open_writer(filled, MANIFEST) as writer:
        writer._database.execute(f"PRAGMA max_page_count = {_pages(writer)}")
        with pytest.raises(IndexStoreError, match="Free some space"):
            put(writer, [item("big.md", ["y " * 100_000])])
            writer.commit()
    with open_reader(filled) as reader:
        assert_holds(reader, BASE)


def _pages(writer: IndexWriter) -> int:
    return int(writer._database.execute("PRAGMA page_count").fetchone()[0])
