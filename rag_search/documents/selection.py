"""Choose files by patterns, besides their kind and the ignore files: `--include` and `--exclude`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pathspec import GitIgnoreSpec

from rag_search.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Patterns in the syntax of `.gitignore`, matched with paths as they are stored.

    include: also read files that match, whatever their kind; unknown kinds are plain text.
    exclude: do not read files and folders that match.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def includes(self, path: str) -> bool:
        """Return whether a file is to be read although its kind is not."""
        return bool(self.include) and self._included.match_file(path.lstrip("/"))

    def excludes(self, path: str, *, is_folder: bool) -> bool:
        """Return whether a file or folder is not to be read."""
        return bool(self.exclude) and self._excluded.match_file(path.lstrip("/") + "/" * is_folder)

    def check(self) -> None:
        """Raise InputError for a pattern that cannot be used."""
        _ = self._included, self._excluded

    @cached_property
    def _included(self) -> GitIgnoreSpec:
        return _spec(self.include, "--include")

    @cached_property
    def _excluded(self) -> GitIgnoreSpec:
        return _spec(self.exclude, "--exclude")


def _spec(patterns: Sequence[str], option: str) -> GitIgnoreSpec:
    for pattern in patterns:
        try:
            GitIgnoreSpec.from_lines([pattern])
        except (ValueError, re.error) as error:
            raise InputError(f"{option} {pattern!r} is not a pattern: {error}.", remedy="Example: '*.txt'") from error
    return GitIgnoreSpec.from_lines(patterns)
