"""Name and date a document by what it says about itself, and by its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any

DATE_KEYS = ("updated", "date")

_DATE = re.compile(r"\s*(\d{4})(?:[-/.]|年)(\d{1,2})(?:[-/.]|月)(\d{1,2})(?!\d)")


_FOLDER_PAGES = frozenset({"index", "_index", "readme"})


def title_of(name: str, *, path: str) -> str:
    """Return the title of a document: one line, never blank.

    name: the name that the text gives itself. Without one it is the file's name; a page such as `index.md` that
    stands for its folder has the folder's name.
    """
    if shown := " ".join(name.split()):
        return shown
    file = PurePosixPath(path)
    is_folder_page = file.stem.split(".")[0].lower() in _FOLDER_PAGES and file.parent.name
    return file.parent.name if is_folder_page else file.stem


def updated_on(metadata: Mapping[str, Any], *, mtime_ns: int) -> str:
    """Return an ISO date: of the first of DATE_KEYS that holds one, else of the last change (UTC), else ""."""
    for key in DATE_KEYS:
        if (match := _DATE.match(str(metadata.get(key, "")))) and (day := _iso(*map(int, match.groups()))):
            return day
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return ""


def _iso(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""
