"""Where a stored path is on this machine, and how it is written for the person who asked."""

from __future__ import annotations

import glob
import itertools
import os
import re
from dataclasses import dataclass
from pathlib import Path

_CLOSE = re.compile(
    r"(close, not confident: )(.+)(:\d+, score \S+ < \S+)", re.DOTALL
)  # as rag_search.search.hits writes it


@dataclass(frozen=True, slots=True)
class Places:
    """base: folder that stored paths are relative to. cwd: folder from which the reader looks."""

    base: Path
    cwd: Path

    def absolute(self, path: str) -> Path:
        """The file of a stored path."""
        return self.base / path

    def shown(self, path: str) -> str:
        """The path from `cwd` when the file lies below it, else the absolute one, in POSIX spelling."""
        return _below(self.absolute(path), self.cwd)

    def noted(self, note: str) -> str:
        """A note of a search with the path in it, if any, as `shown` gives it."""
        found = _CLOSE.fullmatch(note)
        return f"{found[1]}{self.shown(found[2])}{found[3]}" if found else note

    def stored(self, shown: str) -> str:
        """The stored path of what `shown` gave. Nothing is resolved: `..` and links stay as they are."""
        return _below(self.cwd / shown, self.base)

    def stored_pattern(self, pattern: str) -> str:
        """What matches the stored paths of those that `pattern` matches as they are shown. One that begins with `*`
        stays as it is: it matches in any folder.
        """
        if pattern.startswith("*"):
            return pattern
        parts = Path(pattern).parts
        plain = list(itertools.takewhile(lambda part: glob.escape(part) == part, parts))
        folder = Path(os.path.abspath(self.cwd.joinpath(*plain)))  # noqa: PTH100 (`absolute` keeps `..`)
        stored = _below(folder, self.base)
        if len(plain) == len(parts):
            return "*" if stored == "." else stored
        return (Path(glob.escape(stored)) / Path(*parts[len(plain) :])).as_posix()


def _below(absolute: Path, folder: Path) -> str:
    return (absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute).as_posix()
