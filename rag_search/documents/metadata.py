"""Name and date a document by what it says about itself, and by its file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any

DATE_KEYS = ("updated", "date")

_DATE = re.compile(r"\s*(\d{4})(?:[-/.]|年)(\d{1,2})(?:[-/.]|月)(\d{1,2})(?!\d)")


def title_of(metadata: Mapping[str, Any], heading: str, *, path: str) -> str:
    """Return the field `title`, else `heading`, else the name of the file; one line, never blank.

    heading: the name that the text gives itself, "" if it has none.
    """
    field = metadata.get("title")
    if isinstance(field, str | int | float) and not isinstance(field, bool) and str(field).strip():
        return " ".join(str(field).split())
    return heading or PurePosixPath(path).stem


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
