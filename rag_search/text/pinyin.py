"""Chinese characters that sound alike, for typing errors of a pinyin keyboard."""

from __future__ import annotations

import os
import unicodedata
from functools import cache

FIRST, LAST = "\u4e00", "\u9fff"


def homophones(char: str) -> frozenset[str]:
    """Return the characters that share a reading with `char`, tones aside, without itself."""
    alike = {other for reading in _readings().get(char, ()) for other in _by_reading()[reading]}
    return frozenset(alike - {char})


@cache
def _readings() -> dict[str, tuple[str, ...]]:
    """Return the readings of each character, without tones."""
    os.environ.setdefault("PYPINYIN_NO_PHRASES", "1")  # phrases take most of the import and are not needed
    from pypinyin.pinyin_dict import pinyin_dict

    return {
        chr(code): tuple(dict.fromkeys(map(_toneless, readings.split(","))))
        for code, readings in pinyin_dict.items()
        if FIRST <= chr(code) <= LAST
    }


@cache
def _by_reading() -> dict[str, frozenset[str]]:
    groups: dict[str, set[str]] = {}
    for char, readings in _readings().items():
        for reading in readings:
            groups.setdefault(reading, set()).add(char)
    return {reading: frozenset(chars) for reading, chars in groups.items()}


def _toneless(reading: str) -> str:
    """Remove the tone mark; ü stays another vowel than u."""
    decomposed = unicodedata.normalize("NFD", reading)
    return "".join(char for char in decomposed if char == "\u0308" or not unicodedata.combining(char))
