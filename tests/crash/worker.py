"""The writer that gets killed: `python -m tests.crash.worker FOLDER SEED FIRST KILL_AT`.

Prints the number of each operation once it is committed. KILL_AT: the call to the disk at which it kills itself, in
the middle of a write if it is one; 0 to wait for a kill from outside.
"""

from __future__ import annotations

import os
import signal
import sys
from itertools import count
from pathlib import Path

from rag_search.index import open_writer
from rag_search.index.store.disk import Disk
from tests.crash.script import operation
from tests.index.world import MANIFEST


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


def main() -> None:
    folder, seed, first, kill_at = Path(sys.argv[1]), *map(int, sys.argv[2:5])
    with open_writer(folder, MANIFEST, disk=DeadlyDisk(kill_at)) as writer:
        print("open", flush=True)
        for number in count(first):
            operation(seed, number).run(writer)
            print(number, flush=True)


if __name__ == "__main__":
    main()
