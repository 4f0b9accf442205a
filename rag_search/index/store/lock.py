"""One writer at a time. The kernel releases the lock when its holder dies, so it cannot be left behind."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from rag_search.errors import IndexLockedError
from rag_search.index.store.layout import LOCK


class WriterLock:
    """An exclusive flock on `writer.lock`, which also names the process that holds it.

    Raises IndexLockedError at once when another writer holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(self._fd)
            raise IndexLockedError(
                f"another process (pid {holder}) is writing to {folder}.",
                remedy="Wait until it has finished, or stop it.",
            ) from error
        self._write_pid()

    def _write_pid(self) -> None:
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError:
            pass  # a full disk: the lock holds, its message just cannot name this process

    def release(self) -> None:
        """Let the next writer in. Harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
