"""Where a stored path is on this machine, and how it is written for the person who asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


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

    def stored(self, shown: str) -> str:
        """The stored path of what `shown` gave. Nothing is resolved: `..` and links stay as they are."""
        return _below(self.cwd / shown, self.base)


def _below(absolute: Path, folder: Path) -> str:
    return (absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute).as_posix()
