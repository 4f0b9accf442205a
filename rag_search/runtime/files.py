"""Write small files so that a reader sees the old content or the new one, and believe only one's own.

A cache may be shared, or lie in a folder that others may write to: what they put there is not read, and what we write
does not follow their links.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from rag_search.errors import ForeignFileError

_NOW = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_SAFELY = getattr(os, "O_NOFOLLOW", 0) | _NOW


def write_atomically(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write `data` under a temporary name and rename it to `path`; create the folder if it is missing.

    mode: permissions of the file, less the umask. The data is not flushed to the disk: these files can be lost.
    Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_regular(path: Path) -> BufferedReader:
    """Open a file of a folder that others may change. Raises OSError, also for what is not a regular file.

    What was a file when it was looked at may be a pipe by now, which would wait for a writer, or a link to a device
    without an end.
    """
    descriptor = os.open(path, os.O_RDONLY | _NOW)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def read_own(path: Path) -> bytes:
    """Return the content of a file that this user or root wrote.

    Raises ForeignFileError for a file of another user, one that everybody may write to, and a pipe or the like; OSError
    if it cannot be read, and for a link.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | _SAFELY), "rb") as file:
        require_own(path, os.fstat(file.fileno()), kind=stat.S_ISREG)
        return file.read()


def create_own(path: Path) -> BinaryIO:
    """Open a new file that only this user can read, in place of what has its name. Raises OSError."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def require_own(path: Path, *found: os.stat_result, kind: Callable[[int], bool] = lambda _: True) -> None:
    """Raise ForeignFileError unless this user or root owns all that was found, and not everybody may change it.

    kind: of the modes that are expected, such as `stat.S_ISREG`.
    """
    if not all(kind(entry.st_mode) for entry in found):
        raise _foreign(path)
    if not hasattr(os, "geteuid"):
        return
    if any(entry.st_uid not in (0, os.geteuid()) or entry.st_mode & stat.S_IWOTH for entry in found):
        raise _foreign(path)


def is_there(path: Path) -> bool:
    """Return whether a path exists. False also where rights are missing: Path.exists raises PermissionError then."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Return whether a path is a file. False also where rights are missing, as in `is_there`."""
    return os.path.isfile(path)  # noqa: PTH113


def _foreign(path: object) -> ForeignFileError:
    return ForeignFileError(
        f"{path} belongs to another user, or everybody may write to it.",
        remedy="Remove it, or choose another cache directory with RAGSEARCH_CACHE_DIR.",
    )
