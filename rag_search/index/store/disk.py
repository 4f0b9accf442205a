"""Every write of the store that SQLite does not do itself, so that tests can make each of them fail."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path


class Disk:
    """The real file system. Methods raise OSError as the system call does."""

    def create(self, path: Path) -> int:
        """A new, empty file, open for reading and writing; an older one of that name is emptied."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        """Bytes written, which may be fewer than asked for."""
        return os.pwrite(fd, data, offset)

    def sync(self, fd: int) -> None:
        """Return when the contents are on the medium."""
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync on macOS stops at the drive's cache
        else:
            os.fdatasync(fd)

    def sync_folder(self, folder: Path) -> None:
        """Return when created, renamed and removed names of `folder` are on the medium."""
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


DISK = Disk()


def write_all(disk: Disk, fd: int, data: memoryview, offset: int) -> None:
    """Write the whole of `data` (bytes) at `offset`, however many calls that takes."""
    while data:
        written = disk.write(fd, data, offset)
        data, offset = data[written:], offset + written
