"""Normalise a text before it is cut into pieces: the file's own table, one space for many, "▁" for a space."""

from __future__ import annotations

import re
from collections.abc import Mapping

SPACE = "▁"
_SPACES = re.compile(" {2,}")


def translation(table: Mapping[int, str]) -> dict[int, str]:
    """Complete the file's table for `str.translate`.

    NUL is removed, a lone surrogate (which no encoder takes) becomes U+FFFD, and a literal "▁" becomes the space that
    it means inside a piece.
    """
    surrogates = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
    return surrogates | dict(table) | {0: "", ord(SPACE): " "}


def words(text: str, table: Mapping[int, str]) -> list[str]:
    """Return the words of a text, each preceded by "▁", in order; empty for a text of nothing but space.

    No piece of the vocabulary contains "▁" but at its start, so the best cut of a text is the best cut of each word.
    """
    clean = _SPACES.sub(" ", text.translate(table)).strip(" ")
    return [SPACE + word for word in clean.split(" ")] if clean else []
