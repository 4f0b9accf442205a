"""Lines as Markdown has them: they end in LF, CR LF or CR, and in nothing else.

`str.splitlines` also cuts at U+2028, form feeds and others, and then line numbers disagree with the parser's.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Sequence

LINE_END = re.compile(r"\r\n?|\n")


def line_starts(text: str) -> Sequence[int]:
    """Offset of the first character of every line. Text that ends in a line end has no empty line after it."""
    starts = array("q", [0])
    starts.extend(end.end() for end in LINE_END.finditer(text))
    if len(starts) > 1 and starts[-1] == len(text):
        starts.pop()
    return starts


def line_of(starts: Sequence[int], offset: int) -> int:
    """0-based index of the line that holds `offset`."""
    return bisect_right(starts, offset) - 1
