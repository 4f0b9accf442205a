"""All writes of the store that SQLite does not do itself, so that tests can make each of them fail."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path


class Disk:
    """The real file system. Methods raise OSError as the system call does."""

    def create(self, path: Path) -> int:
        """Create an empty file, or empty an existing one; return its descriptor, open for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, fd: int, data: memoryview, offset: int) -> int:
        """Write at `offset` and return the number of bytes written, which may be fewer than given."""
        return os.pwrite(fd, data, offset)

    def sync(self, fd: int) -> None:
        """Flush the contents to the medium."""
        if sys.platform == "darwin":
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync on macOS stops at the drive's cache
        else:
            os.fdatasync(fd)

    def sync_folder(self, folder: Path) -> None:
        """Flush created, renamed and removed names of `folder` to the medium."""
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut the file to `size` bytes."""
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """Close the descriptor."""
        os.close(fd)

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file; an existing target is replaced."""
        source.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file if it exists."""
        path.unlink(missing_ok=True)


DISK = Disk()


def write_all(disk: Disk, fd: int, data: memoryview, offset: int) -> None:
    """Write all of `data` (bytes) at `offset`, in as many calls as that takes."""
    while data:
        written = disk.write(fd, data, offset)
        data, offset = data[written:], offset + written
