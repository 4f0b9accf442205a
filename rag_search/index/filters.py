"""Select the chunks that a search may return: by path, front matter or date."""

from __future__ import annotations

import itertools
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import InputError

MAX_TEXTS, MAX_CHARS = 400, 10_000  # of the filters of one search; SQLite refuses 1,000 and 50,000

_IS = "CASE WHEN {0}.type IN ('true', 'false') THEN {0}.type = lower(?) ELSE CAST({0}.value AS TEXT) = ? END"
# The value or one item of a list is equal. Values are compared as the text a user would type; `True` is `true`.
_METADATA = f"""EXISTS (SELECT 1 FROM json_each(documents.metadata) AS entry WHERE entry.key = ? AND (
    (entry.type != 'array' AND {_IS.format("entry")}) OR (entry.type = 'array' AND EXISTS (
        SELECT 1 FROM json_each(entry.value) AS item WHERE {_IS.format("item")}))))"""
_SPECIAL = re.compile(r"[*?\[]")
_ESCAPED = re.compile(r"\[([\[*?])\]")  # as glob.escape writes them
_ANY_FOLDERS = re.compile(r"(?:^|(?<=/))\*\*/")
MAX_ANY_FOLDERS = 4  # of one pattern: each of them doubles what SQLite compares


def select(
    database: sqlite3.Connection, *, path_glob: Sequence[str], where: Mapping[str, str], since: str | None
) -> NDArray[np.int64] | None:
    """Return the sorted ids of chunks whose document meets every condition; None without a condition.

    path_glob: patterns, of which one must match, and none with `!` in front (see `_path_condition`). where: front
    matter values. since: ISO date; documents without a date are left out. Raises InputError for a `since` that is
    not a date, and beyond the limits.
    """
    path_glob = unicode_forms(path_glob)
    _check_size([*path_glob, *where, *where.values()])
    conditions: list[str] = []
    values: list[str] = []
    if path_glob:
        condition, patterns = combined_paths(path_glob, _path_condition)
        conditions.append(condition)
        values.extend(patterns)
    for key, value in where.items():
        conditions.append(_METADATA)
        values.extend((key, *[value] * 4))
    if since is not None:
        conditions.append("updated >= ?")
        values.append(_iso_date(since))
    if not conditions:
        return None
    (ids,) = database.execute(  # joined by SQLite: a row for each takes three times as long
        "SELECT group_concat(chunks.id) FROM documents JOIN chunks ON chunks.document = documents.id"
        f" WHERE {' AND '.join(conditions)}",
        # a lone surrogate matches nothing
        [value.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for value in values],
    ).fetchone()
    return np.sort(np.fromstring(ids, np.int64, sep=",")) if ids else np.empty(0, np.int64)


def combined_paths(
    patterns: Sequence[str], condition_of: Callable[[str], tuple[str, list[str]]]
) -> tuple[str, list[str]]:
    """Return one SQL condition for all patterns, and its values.

    condition_of: returns the condition of one pattern and its values. A pattern with `!` in front must not match.
    """
    wanted = [condition_of(pattern) for pattern in patterns if not pattern.startswith("!")]
    unwanted = [condition_of(pattern[1:]) for pattern in patterns if pattern.startswith("!")]
    clauses = [f"NOT {condition}" for condition, _ in unwanted]
    if wanted:
        clauses.insert(0, f"({' OR '.join(condition for condition, _ in wanted)})")
    return " AND ".join(clauses), [value for _, values in (*wanted, *unwanted) for value in values]


def selected_paths(paths: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the paths of the documents that `select` would take, in their order; all without patterns.

    Raises InputError beyond the limits.
    """
    _check_size(unicode_forms(patterns))
    wanted = _named([pattern for pattern in patterns if not pattern.startswith("!")])
    unwanted = _named([pattern[1:] for pattern in patterns if pattern.startswith("!")])
    return [path for path in paths if (not wanted or _is_matched(path, wanted)) and not _is_matched(path, unwanted)]


def _named(patterns: Sequence[str]) -> list[tuple[str, list[re.Pattern[str]]]]:
    from rag_search.index.globs import pattern_of

    named = map(name_and_globs, unicode_forms(patterns))
    return [(name, list(map(pattern_of, globs))) for name, globs in named]


def _is_matched(path: str, named: Sequence[tuple[str, list[re.Pattern[str]]]]) -> bool:
    """Return whether a path is one of the names, lies in a folder of that name, or matches a pattern."""
    return any(
        path == name or path.startswith(f"{name}/") or any(glob.fullmatch(path) for glob in globs)
        for name, globs in named
    )


def unicode_forms(patterns: Sequence[str]) -> list[str]:
    """Return the patterns in each form in which a file system may store their letters: é is one character or two."""
    forms: list[str] = []
    for pattern in patterns:
        others = (unicodedata.normalize(form, pattern) for form in ("NFC", "NFD"))
        forms += dict.fromkeys((pattern, *(other for other in others if len(other) <= MAX_CHARS)))
    return forms


def _check_size(texts: Sequence[str]) -> None:
    if len(texts) > MAX_TEXTS:
        raise InputError(f"the filters have {len(texts):,} parts; the limit is {MAX_TEXTS}.", remedy="Name folders.")
    if (longest := max(map(len, texts), default=0)) > MAX_CHARS:
        raise InputError(f"a filter has {longest:,} characters; the limit is {MAX_CHARS:,}.", remedy="Shorten it.")


def _path_condition(pattern: str) -> tuple[str, list[str]]:
    """Return the SQL condition of a pattern and its values.

    `docs` and `[docs]` match the file or folder of that name. `docs/*.md` matches below `docs` at any depth. `**/` also
    matches no folder at all, so `docs/**/a.md` matches `docs/a.md`. A leading `./` is ignored.
    """
    name, globs = name_and_globs(pattern)
    conditions = ["path = ?", "(path >= ? AND path < ?)", *["path GLOB ?"] * len(globs)]
    return f"({' OR '.join(conditions)})", [name, name + "/", name + chr(ord("/") + 1), *globs]


def name_and_globs(pattern: str) -> tuple[str, list[str]]:
    """Return the name of a file or folder that a pattern may be, and what it is as a pattern.

    Brackets are a class of characters, or brackets in a name: `[draft]/*.md` also matches in the folder `[draft]`.
    """
    pattern = pattern.removeprefix("./").rstrip("/")
    if not _SPECIAL.search(pattern):
        return pattern, []
    bracketed = _globs(_ESCAPED.sub(r"\1", pattern).replace("[", "[[]")) if "[" in pattern else []
    return _ESCAPED.sub(r"\1", pattern), [*_globs(pattern), *bracketed]


def _globs(pattern: str) -> list[str]:
    """Return the pattern with and without each `**/`: SQLite's GLOB has only `*`, which matches slashes too."""
    from rag_search.index.globs import from_shell  # few queries have a pattern

    parts = _ANY_FOLDERS.split(from_shell(pattern))
    if len(parts) > MAX_ANY_FOLDERS + 1:
        raise InputError(
            f"a filter has `**/` more than {MAX_ANY_FOLDERS} times.", remedy="Use `*`, which matches slashes too."
        )
    choices = itertools.product(("**/", ""), repeat=len(parts) - 1)
    return ["".join(itertools.chain(*zip(parts, (*choice, ""), strict=True))) for choice in choices]


def _iso_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise InputError(f"{text!r} is not a date.", remedy="Write it as 2026-01-31.") from error
