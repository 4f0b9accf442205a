"""Chinese characters that sound alike, for typing errors of a pinyin keyboard."""

from __future__ import annotations

import os
import unicodedata
from functools import cache

FIRST, LAST = "\u4e00", "\u9fff"


def homophones(char: str) -> frozenset[str]:
    """Return the characters that share a reading with `char`, tones aside, without itself."""
    readings, by_reading = _table()
    return frozenset(alike for reading in readings.get(char, ()) for alike in by_reading[reading]) - {char}


@cache
def _table() -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return the readings of each character, without tones, and the characters of each reading."""
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")  # phrases take most of the import and are not needed
    from pypinyin.pinyin_dict import pinyin_dict

    chars = [chr(code) for code in pinyin_dict if FIRST <= chr(code) <= LAST]
    joined = _toneless(
        "\n".join(pinyin_dict[ord(char)] for char in chars)
    )  # at once: one by one takes five times as long
    readings = {char: row.split(",") for char, row in zip(chars, joined.split("\n"), strict=True)}
    by_reading: dict[str, list[str]] = {}
    for char, row in readings.items():
        for reading in row:
            by_reading.setdefault(reading, []).append(char)
    return readings, by_reading


def _toneless(readings: str) -> str:
    """Remove the tone marks; ü stays another vowel than u."""
    marked = {char for char in set(readings) if not char.isascii()}
    return readings.translate({ord(char): _bare(char) for char in marked})


def _bare(vowel: str) -> str:
    decomposed = unicodedata.normalize("NFD", vowel)
    return "".join(char for char in decomposed if char == "\u0308" or not unicodedata.combining(char))
