"""The writer that gets killed.

It sends the number of each operation once it is committed.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from rag_search.index import open_writer
from rag_search.index.store.disk import Disk
from tests.crash.script import operation
from tests.index.world import MANIFEST

OPEN = -1


class DeadlyDisk(Disk):
    """The real disk, up to the call that is the last."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at

    def _call(self) -> bool:
        """Whether this is the last call."""
        self._left -= 1
        return self._left == 0

    def create(self, path: Path) -> int:
        fd = super().create(path)
        return _die() if self._call() else fd

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        if self._call():
            super().write(fd, data[: len(data) // 2], offset)
            _die()
        return super().write(fd, data, offset)

    def sync(self, fd: int) -> None:
        if self._call():
            _die()
        super().sync(fd)

    def rename(self, source: Path, target: Path) -> None:
        if self._call():
            _die()
        super().rename(source, target)
        if self._call():
            _die()

    def remove(self, path: Path) -> None:
        if self._call():
            _die()
        super().remove(path)
        if self._call():
            _die()


def _die() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return signal.pause()  # type: ignore[func-returns-value]


def log_of(folder: Path) -> Path:
    """Return the file that a writer has for its standard error: FAISS prints warnings there."""
    return folder.with_suffix(".log")


def write(folder: Path, seed: int, first: int, kill_at: int, sender: Connection) -> None:
    """Open the index, send OPEN, and run the operations from `first` on until killed.

    kill_at: the call to the disk at which it kills itself, in the middle of a write if it is one; 0 to wait for a
    kill from outside.
    """
    with log_of(folder).open("w", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    with open_writer(folder, MANIFEST, disk=DeadlyDisk(kill_at)) as writer:
        sender.send(OPEN)
        for number in count(first):
            operation(seed, number).run(writer)
            sender.send(number)
