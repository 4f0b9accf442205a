"""Choose files by patterns, besides their kind and the ignore files: `--include` and `--exclude`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rag_search.documents.gitignore import IgnoreRules, parse_pattern, parse_rules
from rag_search.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Patterns in the syntax of `.gitignore`, matched with paths as they are stored.

    include: also read files that match, whatever their kind; unknown kinds are plain text.
    exclude: do not read files and folders that match.
    follow_links: also follow links that lead out of what is ingested.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow_links: bool = False

    def includes(self, path: str) -> bool:
        """Return whether a file is to be read although its kind is not."""
        return bool(self.include) and self._included.covers(path.lstrip("/"), is_folder=False)

    def excludes(self, path: str, *, is_folder: bool) -> bool:
        """Return whether a file or folder is not to be read."""
        return bool(self.exclude) and self._excluded.covers(path.lstrip("/"), is_folder=is_folder)

    def check(self) -> None:
        """Raise InputError for a pattern that cannot be used."""
        _ = self._included, self._excluded

    @cached_property
    def _included(self) -> IgnoreRules:
        return _rules(self.include, "--include")

    @cached_property
    def _excluded(self) -> IgnoreRules:
        return _rules(self.exclude, "--exclude")


def _rules(patterns: Sequence[str], option: str) -> IgnoreRules:
    """Return the patterns of an option. Raises InputError for one that can match nothing."""
    for pattern in patterns:
        parsed = parse_pattern(os.fsencode(pattern))
        if parsed is None or parsed.kind == "never":
            raise InputError(f"{option} {pattern!r} is not a pattern: it matches nothing.", remedy="Example: '*.txt'")
    return parse_rules(os.fsencode("\n".join(patterns)))
