"""Correct typing errors of a query by the words of the index: Latin words one letter off, Chinese homophones.

A word is touched only if the index does not have it, so that a clean query stays as it is. Whether a Chinese character
is wrong shows in its pairs with both neighbours: a wrong one makes two unknown pairs, and a homophone makes known ones.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

MIN_WORD = 5  # letters of a Latin word
MAX_WORD = 20
MAX_CHECKED = 40  # words and characters of one query
KNOWN = 2  # chunks that have a correction, at least
_WORD = re.compile(r"(?<![\w.@/#:=-])[A-Za-z]+(?![\w@/#:=-])(?!\.\w)", re.ASCII)
_HAN = re.compile("[\u4e00-\u9fff]+")


class Vocabulary(Protocol):
    """The part of an index that knows its terms."""

    def term_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks that have each term."""
        ...


@dataclass(frozen=True, slots=True)
class Correction:
    """A part of the query from `start` to `end`, as it was typed and as it is in the index."""

    start: int
    end: int
    typed: str
    meant: str


def find_corrections(index: Vocabulary, query: str) -> list[Correction]:
    """Return the corrections of a query, in order; none for a query whose words the index has."""
    return sorted((*_latin(index, query), *_chinese(index, query)), key=lambda found: found.start)


def corrected(query: str, corrections: Sequence[Correction]) -> str:
    """Return the query with its corrections."""
    for found in reversed(corrections):
        query = query[: found.start] + found.meant + query[found.end :]
    return query


def _latin(index: Vocabulary, query: str) -> Iterator[Correction]:
    words = [
        match
        for match in _WORD.finditer(query)
        if MIN_WORD <= len(match[0]) <= MAX_WORD and (match[0].islower() or match[0].istitle())
    ][:MAX_CHECKED]
    known = index.term_counts([match[0].lower() for match in words]) if words else {}
    for match in words:
        word = match[0].lower()
        if known[word]:
            continue
        counts = index.term_counts(list(_one_edit_away(word)))
        meant = max(counts, key=lambda term: (counts[term], term))
        if counts[meant] >= KNOWN and not _is_inflected(word, meant):
            yield Correction(match.start(), match.end(), match[0], meant)


def _one_edit_away(word: str) -> Iterator[str]:
    """Yield the words that one letter left out, added, changed or swapped with the next makes of `word`."""
    for place in range(len(word) + 1):
        head, tail = word[:place], word[place:]
        if tail:
            yield head + tail[1:]
        if len(tail) > 1 and tail[0] != tail[1]:
            yield head + tail[1] + tail[0] + tail[2:]
        for letter in string.ascii_lowercase:
            yield head + letter + tail
            if tail and letter != tail[0]:
                yield head + letter + tail[1:]


def _is_inflected(word: str, meant: str) -> bool:
    """Return whether two words are forms of one word, which the models know: `streams` and `stream`."""
    short, long = sorted((word, meant), key=len)
    return long.startswith(short) and long[len(short) :] in ("s", "d", "r", "y")


def _chinese(index: Vocabulary, query: str) -> Iterator[Correction]:
    pairs = {run[0][n : n + 2] for run in _HAN.finditer(query) for n in range(len(run[0]) - 1)}
    if not pairs:
        return
    known = index.term_counts(sorted(pairs))
    for run in _HAN.finditer(query):
        yield from _chinese_run(index, run[0], run.start(), known)


def _chinese_run(index: Vocabulary, run: str, start: int, known: dict[str, int]) -> Iterator[Correction]:
    checked = 0
    last = -2
    for place, char in enumerate(run):
        before = run[place - 1 : place] if place else ""
        after = run[place + 1 : place + 2]
        around = [pair for pair in (before + char, char + after) if len(pair) == 2]
        if place == last + 1 or not around or any(known[pair] for pair in around) or checked >= MAX_CHECKED:
            continue
        checked += 1
        if meant := _homophone(index, before, char, after):
            last = place
            yield Correction(start + place, start + place + 1, char, meant)


def _homophone(index: Vocabulary, before: str, char: str, after: str) -> str:
    """Return the homophone of a character whose pairs with its neighbours the index has most often; "" without one."""
    from rag_search.text.pinyin import homophones  # here, since reading the table of readings takes long

    alike = sorted(homophones(char))
    pairs = {other: [pair for pair in (before + other, other + after) if len(pair) == 2] for other in alike}
    counts = index.term_counts([pair for found in pairs.values() for pair in found])
    best = max(alike, key=lambda other: max(counts[pair] for pair in pairs[other]), default="")
    return best if best and max(counts[pair] for pair in pairs[best]) >= KNOWN else ""
