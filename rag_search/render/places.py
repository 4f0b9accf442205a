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
        absolute = self.absolute(path)
        below = absolute.relative_to(self.cwd) if absolute.is_relative_to(self.cwd) else absolute
        return below.as_posix()
