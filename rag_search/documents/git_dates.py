"""Date files by the last commit that changed them, read from Git once for all files of a work tree.

A work tree may be that of a stranger, so Git runs no command of its configuration and fetches nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path

LIMIT_S = 10.0  # of reading a history; files that were not reached in it count as not committed
BLOCK = 1 << 16
_SAFE = ("core.fsmonitor=false", "log.showSignature=false", "core.hooksPath=/dev/null")
_LOG = ("log", "-z", "--format=tformat:%x01%cs", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv")
_DAY = re.compile(rb"\x01(\d{4}-\d\d-\d\d)")


class CommitDays:
    """The days on which files were last committed.

    files: all files that may be asked for.
    """

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = list(files)
        self._tops: dict[Path, Path | None] = {}
        self._days: dict[Path, dict[bytes, str]] = {}

    def day(self, file: Path) -> str:
        """Return the ISO date of the last commit of a file; "" if it was not committed, or there is no Git."""
        top = self._top(file.parent)
        if top is None:
            return ""
        if top not in self._days:
            wanted = {_name(other, top) for other in self._files if self._top(other.parent) == top}
            self._days[top] = _days_of(top, wanted | {_name(file, top)})
        return self._days[top].get(_name(file, top), "")

    def _top(self, folder: Path) -> Path | None:
        """Return the work tree of a folder; None if it is in none."""
        if folder not in self._tops:
            is_top, is_root = (folder / ".git").exists(), folder == folder.parent
            self._tops[folder] = folder if is_top else None if is_root else self._top(folder.parent)
        return self._tops[folder]


def _name(file: Path, top: Path) -> bytes:
    return os.fsencode(file.relative_to(top).as_posix())


def _days_of(top: Path, wanted: set[bytes]) -> dict[bytes, str]:
    """Return the days of those files that are committed. The history is read until all are found, or for LIMIT_S."""
    missing = wanted & set(_fields(top, ["ls-files", "-z"]))
    days: dict[bytes, str] = {}
    day = ""
    with closing(_fields(top, _LOG)) as history:
        while missing and (field := next(history, None)) is not None:
            name = field.removeprefix(b"\n")
            if match := _DAY.fullmatch(field):
                day = match[1].decode("ascii")
            elif name in missing:
                days[name] = day
                missing.discard(name)
    return days


def _fields(top: Path, arguments: Sequence[str]) -> Generator[bytes, None, None]:
    """Yield what a command of Git prints, cut at each NUL; nothing if it fails."""
    settings = [part for setting in _SAFE for part in ("-c", setting)]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    guarded = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat"}
    command = ["git", "--no-pager", *settings, "-C", str(top), *arguments]
    try:
        process = subprocess.Popen(
            command, env=clean | guarded, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:  # Git is not installed
        return
    timer = threading.Timer(LIMIT_S, process.kill)
    timer.start()
    try:
        assert process.stdout is not None
        rest = b""
        while block := process.stdout.read(BLOCK):
            *fields, rest = (rest + block).split(b"\0")
            yield from fields
    finally:
        timer.cancel()
        process.kill()
        process.communicate()
