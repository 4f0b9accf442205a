"""Name and date a document by what it says about itself, and by its file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

from rag_search.text.dates import day_in_name
from rag_search.text.names import shortened
from rag_search.text.sanitize import plain

DATE_KEYS = (  # the change of a page in the words of each site generator, then its publication
    *("updated", "lastmod", "last_update.date", "lastUpdated", "last_updated", "last_modified_at", "date-modified"),
    *("ms.date", "modified", "revdate", "date.updated", "date", "date.created", "created"),
)
_US_KEYS = ("ms.date",)  # written as 01/31/2024

_DATE = re.compile(r"\s*(\d{4})(?:[-/.]|年)(\d{1,2})(?:[-/.]|月)(\d{1,2})(?!\d)")
_US_DATE = re.compile(r"\s*(\d{1,2})/(\d{1,2})/(\d{4})(?!\d)")

_FOLDER_PAGES = frozenset({"index", "_index", "readme"})


def title_of(name: str, *, path: str) -> str:
    """Return the title of a document: one line, never blank, and not as long as a text.

    name: the name that the text gives itself. Without one it is the file's name; a page such as `index.md` that
    stands for its folder has the folder's name.
    """
    if shown := " ".join(name.split()):
        return shortened(shown)
    file = PurePosixPath(path)
    is_folder_page = file.stem.split(".")[0].lower() in _FOLDER_PAGES and file.parent.name
    return file.parent.name if is_folder_page else _file_title(file.stem)


def _file_title(stem: str) -> str:
    """Return the name that a file name spells with `___` for a slash (Logseq) or with `%3A` for a colon (wikis)."""
    decoded = " ".join(plain(unquote(stem)).split())
    return stem if "\ufffd" in decoded or not decoded else decoded.replace("___", "/")


def updated_on(
    metadata: Mapping[str, Any], *, path: str, mtime_ns: int, committed: Callable[[], str] = str
) -> tuple[str, str]:
    """Return the ISO date of a document and its origin: "metadata", "name" of the file, "git", or "file".

    It is that of the first of DATE_KEYS that has one, else that in the name of the file, else that of its last commit,
    else the last change of the file (UTC); "" if there is none. committed: returns the date of the last commit, or "".
    """
    for key in DATE_KEYS:
        if day := _day(_value(metadata, key), us=key in _US_KEYS):
            return day, "metadata"
    if day := day_in_name(path):
        return day, "name"
    if day := committed():
        return day, "git"
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC).date().isoformat(), "file"
    except (OverflowError, ValueError, OSError):
        return "", "file"


def _value(metadata: Mapping[str, Any], key: str) -> str:
    """Return the value of a key, which may be the name of a nested one."""
    outer, _, inner = key.partition(".")
    nested = metadata.get(outer)
    value = metadata.get(key, nested.get(inner) if inner and isinstance(nested, Mapping) else None)
    return "" if value is None else str(value)


def _day(text: str, *, us: bool) -> str:
    """Return the ISO date at the beginning of a value; "" without one. us: it may be month, day, year."""
    if match := _DATE.match(text):
        return _iso(*map(int, match.groups()))
    if us and (match := _US_DATE.match(text)):
        month, day, year = map(int, match.groups())
        return _iso(year, month, day)
    return ""


def _iso(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""
