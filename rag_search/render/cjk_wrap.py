"""Break text between CJK characters.

Rich breaks at spaces only: a Chinese sentence after an English word moves to the next line as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, get_character_cell_size
from rich.text import Text

NEVER_FIRST = frozenset("，。、；：？！）》】」』”’…%,.;:?!)]}")
NEVER_LAST = frozenset("（《【「『“‘([{")


def wrapped(text: Text, width: int) -> list[Text]:
    """Return `text` as lines of at most `width` cells that keep its styles."""
    lines = list(text.divide(breaks(text.plain, max(2, width))))
    for line in lines:
        line.rstrip()
    return lines


def breaks(text: str, width: int) -> Iterator[int]:
    """Yield the offsets at which lines of at most `width` cells end.

    A line ends after a space, beside a wide character, or, in a run without either, where it is full. Spaces at the
    end of a line may extend beyond the width.
    """
    start = best = cells = 0
    for at, char in enumerate(text):
        if at > start and _may_break(text[at - 1], char):
            best = at
        cells += get_character_cell_size(char)
        while cells > width and char != " " and at > start:  # twice when what follows the break is too wide itself
            start = best if best > start else at
            yield start
            cells = cell_len(text[start : at + 1])


def _may_break(before: str, after: str) -> bool:
    if before == " ":
        return after != " "
    wide = get_character_cell_size(before) == 2 or get_character_cell_size(after) == 2
    return wide and after not in NEVER_FIRST and before not in NEVER_LAST and after != " "
