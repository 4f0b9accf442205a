"""Read the days that users and documents write."""

from __future__ import annotations

import re
from datetime import date, timedelta

from rag_search.errors import InputError

_AGO = re.compile(r"(\d{1,5})\s*(d|day|days|w|week|weeks|m|month|months|y|year|years)(?:\s+ago)?", re.IGNORECASE)
_DAYS = {"d": 1, "w": 7, "m": 30.44, "y": 365.25}
_NAMED = {"today": 0, "今天": 0, "yesterday": 1, "昨天": 1, "last week": 7, "last month": 30, "last year": 365}
_PARTS = re.compile(r"(\d{4})(?:[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?|年)?")
_IN_NAME = re.compile(r"(?<!\d)((?:19|20)\d{2})([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
REMEDY = "Write it as in: --since 2024-01-31, 2024-01, 2024, 7d, 3w, yesterday"


def parse_since(text: str, *, today: date | None = None) -> str:
    """Return the ISO date that `2024-01-31`, `2024-01`, `2024`, `7d`, `3 weeks` or `yesterday` means.

    today: the day from which the past is counted; None: now. Raises InputError.
    """
    today = today or date.today()
    bare = " ".join(text.split()).casefold()
    try:
        if bare in _NAMED:
            return (today - timedelta(days=_NAMED[bare])).isoformat()
        if ago := _AGO.fullmatch(bare):
            return (today - timedelta(days=round(int(ago[1]) * _DAYS[ago[2][0]]))).isoformat()
        if parts := _PARTS.fullmatch(bare):
            return date(int(parts[1]), int(parts[2] or 1), int(parts[3] or 1)).isoformat()
    except (ValueError, OverflowError) as error:
        raise InputError(f"--since {text!r} is not a date.", remedy=REMEDY) from error
    raise InputError(f"--since {text!r} is not a date.", remedy=REMEDY)


def day_in_name(path: str) -> str:
    """Return the ISO date in the name of a file, such as `2024-01-31-notes.md`; "" without one."""
    match = _IN_NAME.search(path.rsplit("/", 1)[-1])
    try:
        return date(int(match[1]), int(match[3]), int(match[4])).isoformat() if match else ""
    except ValueError:
        return ""


def marked_day(day: str, origin: str) -> str:
    """Return the date of a document for people, marked if it is only the time of its file.

    origin: as in `Document.updated_from`.
    """
    return f"{day} (time of the file)" if day and origin == "file" else day
