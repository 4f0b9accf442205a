"""What happens to a text before it is cut into pieces: the file's own table, one space for many, "▁" for a space."""

from __future__ import annotations

import re
from collections.abc import Mapping

SPACE = "▁"
_SPACES = re.compile(" {2,}")


def translation(table: Mapping[int, str]) -> dict[int, str]:
    """The file's table with what it leaves open: NUL vanishes, a lone surrogate (which no encoder takes) becomes
    U+FFFD, and a literal "▁" is the space that it stands for inside a piece."""
    surrogates = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    return surrogates | dict(table) | {0: "", ord(SPACE): " "}


def words(text: str, table: Mapping[int, str]) -> list[str]:
    """The words of a text, each led by "▁", in order; empty for a text of nothing but space.

    No piece of the vocabulary holds "▁" but at its start, so the best cut of a text is the best cut of each word.
    """
    clean = _SPACES.sub(" ", text.translate(table)).strip(" ")
    return [SPACE + word for word in clean.split(" ")] if clean else []
