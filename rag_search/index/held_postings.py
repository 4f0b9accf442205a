"""Postings of a small index in memory: a server asks for the same few thousand terms again and again.

Reading them all takes as long as some thousand look-ups in FTS5, and each look-up then takes a hundredth of its time.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.index.dense.base import Ids
from rag_search.index.postings import folded


class HeldPostings:
    """All postings of FTS5, as they are in the snapshot of `database`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        query = "SELECT term, group_concat(doc) FROM lexical_places GROUP BY term ORDER BY term"
        rows = database.execute(query).fetchall()
        self._terms = [term for term, _ in rows]
        self._places = {term: place for place, term in enumerate(self._terms)}
        docs = np.fromstring(",".join([places for _, places in rows]), np.int64, sep=",")
        lengths = np.array([places.count(",") + 1 for _, places in rows], np.int64)
        owners = np.repeat(np.arange(len(rows)), lengths)
        is_new = np.concatenate(([True], (docs[1:] != docs[:-1]) | (owners[1:] != owners[:-1])))[: len(docs)]
        first = np.flatnonzero(is_new)
        self._ids = docs[first]
        self._times = np.diff(first, append=len(docs))
        self._starts = [0, *np.searchsorted(first, np.cumsum(lengths)).tolist()]

    def occurs(self, term: str) -> bool:
        """Return whether any chunk has the term."""
        return folded(term) in self._places

    def counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks with each term."""
        return {term: self._count(self._places.get(folded(term))) for term in terms}

    def _count(self, place: int | None) -> int:
        return 0 if place is None else self._starts[place + 1] - self._starts[place]

    def read(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        """Return the chunks with the term and how often it occurs."""
        place = self._places.get(folded(term))
        if place is None:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        part = slice(self._starts[place], self._starts[place + 1])
        return self._ids[part], self._times[part]

    def between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        start = bisect_left(self._terms, first)
        stop = min(bisect_left(self._terms, last), start + limit)
        return [(self._terms[place], self._count(place)) for place in range(start, stop)]
