"""Sources of postings for BM25: FTS5, and a mapped file that is derived from it and read four times as fast.

    postings of every term -> dictionary of sorted terms -> footer

The postings of a term are the gaps between its rows, and how often it is repeated in each of them. The file covers the
rows that the index had when it was built. Newer rows are counted from their stored terms, deleted ones are left out. A
list with a wrong checksum is read from FTS5, and so are all of them without the file.
"""

from __future__ import annotations

import json
import mmap
import sqlite3
import struct
import zlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.index.dense.base import Ids
from rag_search.index.store.database import TOKENS
from rag_search.index.store.layout import DerivedFile
from rag_search.index.store.packing import unpack

MAX_NEWER = 1_000  # rows: counting them takes 40 ms, once for a reader
MAX_RECENT = 32  # terms whose postings are kept
MAX_FOUND = 10_000  # terms whose place in the dictionary is kept
MAGIC = b"ragpost2"  # 2 (December 2026): gaps between rows, in as few bytes as they need
_FOLDS = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
FOOTER = struct.Struct("<8sQQQII")  # magic, terms, offset and size of the dictionary, its CRC-32, that of the footer
# ends in the bytes of the terms, starts, counts, checksums, bytes of a gap between rows, bytes of a repeat
DTYPES = ("<u8", "<u8", "<u4", "<u4", "u1", "u1")
WIDTHS = (0, 1, 2, 4)


class Postings(Protocol):
    """Where the chunks with a term are read from."""

    def occurs(self, term: str) -> bool:
        """Return whether any chunk has the term."""
        ...

    def counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks with each term."""
        ...

    def read(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        """Return the chunks with the term, ascending, and how often it occurs in each."""
        ...

    def between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        ...


@dataclass(frozen=True)
class FtsPostings:
    """Postings of FTS5."""

    database: sqlite3.Connection

    def occurs(self, term: str) -> bool:
        """Return whether any chunk has the term. It reads one posting, where counting reads all of them."""
        query = "SELECT 1 FROM lexical_places WHERE term = ? LIMIT 1"
        return self.database.execute(query, (folded(term),)).fetchone() is not None

    def counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks with each term. FTS5 reads whole posting lists for it."""
        keys = {term: folded(term) for term in terms}
        query = "SELECT term, doc FROM json_each(?) AS wanted JOIN lexical_vocab ON term = wanted.value"
        rows = dict(self.database.execute(query, (json.dumps(sorted(set(keys.values()))),)).fetchall())
        return {term: rows.get(key, 0) for term, key in keys.items()}

    def read(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        """Return the chunks with the term and how often it occurs.

        SQLite joins all postings to one string: a row for each takes twice as long.
        """
        query = "SELECT group_concat(doc) FROM lexical_places WHERE term = ?"
        (places,) = self.database.execute(query, (folded(term),)).fetchone()
        return runs(places)

    def between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        query = "SELECT term, doc FROM lexical_vocab WHERE term >= ? AND term < ? LIMIT ?"
        return self.database.execute(query, (first, last, limit)).fetchall()


class FilePostings:
    """Postings of the file, of newer rows, and of FTS5 where the file is damaged."""

    def __init__(self, file: _File, fts: FtsPostings, live: NDArray[np.bool_]) -> None:
        self._file = file
        self._fts = fts
        self._live = live
        self._deleted = len(live) - int(live.sum())
        self._newer = _newer_postings(fts.database, file.rows)
        self._recent: dict[str, tuple[Ids, NDArray[np.int64]]] = {}

    def occurs(self, term: str) -> bool:
        """Return whether any chunk has the term, without reading the postings of a frequent one."""
        return self._older(term) > self._deleted or bool(self._count(term))

    def counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks with each term."""
        return {term: self._count(term) for term in terms}

    def _count(self, term: str) -> int:
        older = self._older(term)
        if self._deleted and older:
            return len(self.read(term)[0])
        return older + len(self._newer.get(folded(term), ()))

    def _older(self, term: str) -> int:
        """Return the number of chunks with the term when the file was built."""
        place = self._file.find(folded(term))
        return 0 if place is None else int(self._file.counts[place])

    def read(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        """Return the chunks with the term and how often it occurs. They are kept for the next call after a count."""
        if term not in self._recent:
            if len(self._recent) >= MAX_RECENT:
                self._recent.clear()
            self._recent[term] = self._read(term)
        return self._recent[term]

    def _read(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        place = self._file.find(key := folded(term))
        ids, times = np.empty(0, np.int64), np.empty(0, np.int64)
        if place is not None:
            postings = self._file.read(place)
            if postings is None:
                return self._fts.read(term)
            ids, times = postings
        if self._deleted:
            keep = self._live[ids]
            ids, times = ids[keep], times[keep]
        if newer := self._newer.get(key):
            newer_ids, newer_times = zip(*newer, strict=True)
            ids, times = np.concatenate((ids, newer_ids)), np.concatenate((times, newer_times))
        return ids, times

    def between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        return self._fts.between(first, last, limit)


class _File:
    """The mapped file. Raises ValueError when it is not complete."""

    def __init__(self, path: Path, rows: int) -> None:
        self.rows = rows
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        view = memoryview(self._data)
        footer = view[-FOOTER.size :]
        magic, terms, offset, size, checksum, own = FOOTER.unpack(footer)
        dictionary = view[offset : offset + size]
        if magic != MAGIC or own != zlib.crc32(footer[:-4]) or checksum != zlib.crc32(dictionary):
            raise ValueError(f"{path.name} is damaged")
        arrays: list[Any] = []
        start = 0
        for dtype in map(np.dtype, DTYPES):
            arrays.append(np.frombuffer(dictionary, dtype, terms, start))
            start += terms * dtype.itemsize
        self._ends, self._starts, self.counts, self._checksums, *self._widths = arrays
        self._terms = dictionary[start:]
        self._found: dict[str, int | None] = {}

    def find(self, term: str) -> int | None:
        """Return the place of a folded term in the dictionary."""
        if term not in self._found:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[term] = self._find(term)
        return self._found[term]

    def _find(self, term: str) -> int | None:
        key = term.encode("utf-8", "surrogatepass")
        place = bisect_left(range(len(self._ends)), key, key=self._term)
        return place if place < len(self._ends) and self._term(place) == key else None

    def _term(self, place: int) -> bytes:
        return bytes(self._terms[int(self._ends[place - 1]) if place else 0 : int(self._ends[place])])

    def read(self, place: int) -> tuple[Ids, NDArray[np.int64]] | None:
        """Return rows and frequencies of a term; None when they are not those that were written."""
        start, count = int(self._starts[place]), int(self.counts[place])
        gap_bytes, repeat_bytes = (int(widths[place]) for widths in self._widths)
        data = memoryview(self._data)[start : start + count * (gap_bytes + repeat_bytes)]
        if zlib.crc32(data) != int(self._checksums[place]):
            return None
        gaps = _unpacked(data[: count * gap_bytes], gap_bytes, count)
        repeats = _unpacked(data[count * gap_bytes :], repeat_bytes, count)
        return np.cumsum(gaps, dtype=np.int64), np.add(repeats, 1, dtype=np.int64)


def _unpacked(data: memoryview, width: int, count: int) -> NDArray[np.unsignedinteger]:
    """Return numbers of `width` bytes each; 0: all are zero."""
    return np.frombuffer(data, f"<u{width}") if width else np.zeros(count, np.uint8)


def open_postings(
    database: sqlite3.Connection, file: DerivedFile | None, folder: Path, *, rows: int, deleted: Ids
) -> Postings:
    """Return the fastest source that can be trusted: the recorded file, else FTS5.

    rows: number of rows of the index. deleted: sorted ids of deleted rows.
    """
    fts = FtsPostings(database)
    if file is None or not 0 <= rows - file.rows <= MAX_NEWER:
        return fts
    try:
        opened = _File(folder / file.name, file.rows)
    except (OSError, ValueError, struct.error):
        return fts
    live = np.ones(rows, np.bool_)
    live[deleted] = False
    return FilePostings(opened, fts, live)


def _newer_postings(database: sqlite3.Connection, first: int) -> dict[str, list[tuple[int, int]]]:
    """Count the terms of live rows from `first` on: term -> (row, occurrences), ascending."""
    postings: dict[str, list[tuple[int, int]]] = {}
    for row, packed in database.execute("SELECT id, packed FROM chunks WHERE id >= ? ORDER BY id", (first,)):
        for term, times in Counter(map(folded, TOKENS.findall(unpack(packed).terms))).items():
            postings.setdefault(term, []).append((row, times))
    return postings


def runs(places: str) -> tuple[Ids, NDArray[np.int64]]:
    """Parse "3,3,7", a row for each occurrence, to distinct rows and how often each comes."""
    rows = np.fromstring(places, np.int64, sep=",")
    first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
    return rows[first], np.concatenate((first[1:], [len(rows)])) - first


def folded(term: str) -> str:
    """Return the term as FTS5's ascii tokenizer stores it."""
    return term.translate(_FOLDS)
