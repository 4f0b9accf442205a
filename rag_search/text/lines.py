"""Count lines as Markdown does: they end in LF, CR LF or CR, and in nothing else.

`str.splitlines` also cuts at U+2028, form feeds and others, and then line numbers disagree with the parser's.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence

LINE_END = re.compile(r"\r\n?|\n")


def line_starts(text: str) -> Sequence[int]:
    """Return the offset of the first character of every line. A line end at the end starts no further line."""
    starts = array("q", [0])
    starts.extend(end.end() for end in LINE_END.finditer(text))
    if len(starts) > 1 and starts[-1] == len(text):
        starts.pop()
    return starts


def lines_of(text: str) -> list[str]:
    """Return the lines without their ends: one at least, and none for what follows a line end at the end."""
    lines = LINE_END.split(text)
    return lines[:-1] if len(lines) > 1 and not lines[-1] else lines


def line_of(starts: Sequence[int], offset: int) -> int:
    """Return the 0-based index of the line that contains `offset`."""
    return bisect_right(starts, offset) - 1
