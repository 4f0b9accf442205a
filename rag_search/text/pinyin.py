"""Chinese characters that sound alike, for typing errors of a pinyin keyboard."""

from __future__ import annotations

import os
import unicodedata
from functools import cache

FIRST, LAST = 0x4E00, 0x9FFF


def homophones(char: str) -> frozenset[str]:
    """Return the characters that share a reading with `char`, tones aside, without itself."""
    by_reading = _by_reading()
    readings = _toneless(_readings().get(ord(char), "")).split(",")
    return frozenset(alike for reading in readings for alike in by_reading.get(reading, ())) - {char}


@cache
def _by_reading() -> dict[str, list[str]]:
    """Return the characters of each reading, without tones."""
    by_row: dict[str, list[str]] = {}  # three characters have one row, and the tones are removed from all at once
    for code, row in _readings().items():
        if FIRST <= code <= LAST:
            by_row.setdefault(row, []).append(chr(code))
    by_reading: dict[str, list[str]] = {}
    for row, chars in zip(_toneless("\n".join(by_row)).split("\n"), by_row.values(), strict=True):
        for reading in row.split(","):
            by_reading.setdefault(reading, []).extend(chars)
    return by_reading


def _readings() -> dict[int, str]:
    """Return the readings of each character, with tones."""
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")  # phrases take most of the import and are not needed
    from pypinyin.pinyin_dict import pinyin_dict

    return pinyin_dict


def _toneless(readings: str) -> str:
    """Remove the tone marks; ü stays another vowel than u."""
    marked = {char for char in set(readings) if not char.isascii()}
    return readings.translate({ord(char): _bare(char) for char in marked})


def _bare(vowel: str) -> str:
    decomposed = unicodedata.normalize("NFD", vowel)
    return "".join(char for char in decomposed if char == "\u0308" or not unicodedata.combining(char))
