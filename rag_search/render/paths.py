"""Map stored paths to files of this machine and to the spelling that the user sees."""

from __future__ import annotations

import glob
import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag_search.text.sanitize import visible

if TYPE_CHECKING:
    from rag_search.config import Config


@dataclass(frozen=True, slots=True)
class PathMapper:
    """The folder `base` to which stored paths are relative, and the folder `cwd` in which the user works."""

    base: Path
    cwd: Path

    @classmethod
    def of(cls, config: Config, cwd: Path | None = None) -> PathMapper:
        """Return the mapper for the base folder of the settings and a folder, by default the working directory."""
        from rag_search.engines.base_folder import base_folder  # loads settings, which a renderer does without

        return cls(base_folder(config), cwd or Path.cwd())

    def absolute(self, path: str) -> Path:
        """Return the file of a stored path."""
        return self.base / path

    def shown(self, path: str) -> str:
        """Return the path relative to `cwd` if the file is below it, else the absolute one, in POSIX spelling."""
        return _below(self.absolute(path), self.cwd)

    def printed(self, path: str) -> str:
        """Return the shown path for text: one line, with control characters and the like as escapes."""
        return visible(self.shown(path))

    def stored(self, shown: str) -> str:
        """Return the stored path of one that `shown` returned. `..` and links are not resolved."""
        return _below(self.cwd / shown, self.base)

    def named(self, typed: str) -> str:
        """Return the stored path of one that a user types from `cwd`. `..` is resolved, links are not."""
        return _below(Path(os.path.abspath(self.cwd / typed)), self.base)  # noqa: PTH100 (as below)

    def stored_pattern(self, pattern: str) -> str:
        """Translate a pattern over shown paths into one over stored paths.

        A pattern that begins with `*` matches in any folder and does not change. `!` in front stays there. A folder
        that holds `base` is everything.
        """
        if pattern.startswith("!"):
            return f"!{self.stored_pattern(pattern[1:])}"
        if pattern.startswith("*"):
            return pattern
        parts = Path(pattern).parts
        plain = list(itertools.takewhile(lambda part: glob.escape(part) == part, parts))
        folder = Path(os.path.abspath(self.cwd.joinpath(*plain)))  # noqa: PTH100 (`absolute` keeps `..`)
        stored = _below(folder, self.base)
        if len(plain) == len(parts):
            return "*" if self.base.is_relative_to(folder) else stored
        return (Path(glob.escape(stored)) / Path(*parts[len(plain) :])).as_posix()


def _below(absolute: Path, folder: Path) -> str:
    return (absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute).as_posix()
