"""Which chunks a search may return: the conditions of `rag_search.index.filters` in PostgreSQL.

`*` and `?` match as in SQLite's GLOB, and front matter values are compared as there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_search.index.filters import _check_size, _iso_date, combined_paths, name_and_globs, unicode_forms
from rag_search.index.globs import regex_of

_VALUES = """SELECT entry.key, entry.type, CAST(entry.value AS TEXT) FROM json_each(?1) AS entry
        WHERE entry.type != 'array'
    UNION ALL SELECT entry.key, item.type, CAST(item.value AS TEXT) FROM json_each(?1) AS entry,
        json_each(entry.value) AS item WHERE entry.type = 'array'"""
_BOOLEANS = frozenset({"true", "false"})
_MAX_FACTS = 1000  # of one document


@dataclass(frozen=True, slots=True)
class Selection:
    """A condition on `documents`, with its values in order."""

    condition: str
    values: tuple[Any, ...]


def select(*, path_glob: Sequence[str], where: Mapping[str, str], since: str | None) -> Selection | None:
    """Return the condition that a document must meet; None without one. See rag_search.index.filters.select."""
    path_glob = unicode_forms(path_glob)
    _check_size([*path_glob, *where, *where.values()])
    conditions: list[str] = []
    values: list[Any] = []
    if path_glob:
        condition, patterns = combined_paths(path_glob, _path_condition)
        conditions.append(condition)
        values.extend(patterns)
    for key, value in where.items():
        conditions.append("facts && %s::text[]")
        values.append(_wanted_facts(key, value))
    if since is not None:
        conditions.append("updated >= %s")
        values.append(_iso_date(since))
    return Selection(" AND ".join(conditions), tuple(values)) if conditions else None


def facts_of(metadata: str) -> list[str]:
    """Return what `where` can ask of a document: one entry for each value, and for each item of a list.

    metadata: JSON. SQLite reads it, so that the local index and this one compare the same text.
    """
    probe = sqlite3.connect(":memory:")
    try:
        rows = probe.execute(_VALUES, (metadata,)).fetchmany(_MAX_FACTS)
    except sqlite3.Error:  # what SQLite cannot read as JSON the local index does not find either
        return []
    finally:
        probe.close()
    facts = {
        _fact(key, kind, boolean=True) if kind in _BOOLEANS else _fact(key, value, boolean=False)
        for key, kind, value in rows
        if kind != "null"
    }
    return sorted(fact for fact in facts if "\0" not in fact)


def _wanted_facts(key: str, value: str) -> list[str]:
    facts = [_fact(key, value, boolean=False)]
    if value.lower() in _BOOLEANS:
        facts.append(_fact(key, value.lower(), boolean=True))
    return [_storable(fact) for fact in facts]


def _fact(key: str, value: str, *, boolean: bool) -> str:
    return json.dumps([key, value, boolean], ensure_ascii=False)


def _path_condition(pattern: str) -> tuple[str, list[str]]:
    name, globs = name_and_globs(_storable(pattern))
    conditions = ["path = %s", "starts_with(path, %s)", *["path ~ %s"] * len(globs)]
    return f"({' OR '.join(conditions)})", [name, f"{name}/", *map(regex_of, globs)]


def _storable(text: str) -> str:
    """Return `text` so that the server takes it; what cannot be stored matches nothing."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
