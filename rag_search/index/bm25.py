"""BM25 (Robertson et al. 1994) over the postings of FTS5, any term may match (OR).

FTS5 keeps the postings, because they then commit with the text; the scores are computed here. Its own bm25() costs a
microsecond for each posting, most of it a look into a table for the length of the chunk; reading a term's postings as
one string and adding the scores up in NumPy costs a quarter of that, and the scores are the same.

Words that stand in very many passages decide little and cost nearly everything. So the terms of a query are taken
rarest first, as long as all together have no more than POSTINGS. An index of a few thousand passages never gets there,
and every term counts.
"""

from __future__ import annotations

import math
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.index.dense.exact import Ids, in_sorted, top
from rag_search.records import FloatVector

K1, B = 1.2, 0.75  # as in FTS5 and Lucene
LEAST_IDF = 1e-6  # of a term in more than half of the chunks; as in FTS5
POSTINGS = 20_000
KEPT_POSTINGS = 1_000_000  # 16 MB
MAX_COUNTS = 100_000  # terms whose number of chunks is remembered: 10 MB
MAX_TERMS = 128  # of one query: a whole page given as a query has thousands


class LexicalSearch:
    """Ranks the chunks of one database snapshot. For one thread at a time.

    lengths: number of terms of each row, int32 (rows,). dead: sorted rows of removed chunks, which do not count.
    frequent: what `frequent_terms` gave for this index or for one a little older.
    """

    def __init__(
        self, database: sqlite3.Connection, lengths: NDArray[np.int32], dead: Ids, *, frequent: Mapping[str, int]
    ) -> None:
        self._database = database
        self._frequent = frequent
        self._lengths = lengths
        self._chunks = len(lengths) - len(dead)
        self._mean = (int(lengths.sum(dtype=np.int64)) - int(lengths[dead].sum())) / max(1, self._chunks)
        self._chunks_with: dict[str, int] = {}
        self._kept: OrderedDict[str, tuple[Ids, NDArray[np.float64]]] = OrderedDict()
        self._kept_postings = 0

    def search(
        self, terms: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Ids and BM25 scores, best first, ties by id; at most `top_k`. allowed: only these ids, sorted."""
        scores = np.zeros(len(self._lengths))
        found = [np.empty(0, np.int64)]
        for term in self._telling(terms):
            ids, gains = self._gains(term)
            scores[ids] += gains
            found.append(ids)
        ids = _distinct(np.concatenate(found))
        if allowed is not None:
            ids = ids[in_sorted(ids, allowed)]
        return top(ids, scores[ids].astype(np.float32), top_k)

    def _telling(self, terms: Sequence[str]) -> list[str]:
        """The terms worth looking for, rarest first."""
        counts = {term: self._about(term) for term in dict.fromkeys(terms)}
        present = sorted((term for term in counts if counts[term]), key=lambda term: (counts[term], term))
        read = np.cumsum([counts[term] for term in present])
        return present[: max(1, min(MAX_TERMS, int((read <= POSTINGS).sum())))]

    def _about(self, term: str) -> int:
        """Chunks that hold the term; of a frequent one as many as did when that was noted, unless all are gone."""
        noted = self._frequent.get(_folded(term))
        return noted if noted and self._stands(term) else self._count(term)

    def _stands(self, term: str) -> bool:
        """Whether any chunk holds the term: the first place of a posting list, where counting reads all of it."""
        query = "SELECT 1 FROM lexical_places WHERE term = ? LIMIT 1"
        return self._database.execute(query, (_folded(term),)).fetchone() is not None

    def _count(self, term: str) -> int:
        """Chunks that hold the term. Remembered, because FTS5 counts by reading the whole posting list."""
        if term not in self._chunks_with:
            if len(self._chunks_with) >= MAX_COUNTS:
                self._chunks_with.clear()
            query = "SELECT doc FROM lexical_vocab WHERE term = ?"
            row = self._database.execute(query, (_folded(term),)).fetchone()
            self._chunks_with[term] = row[0] if row else 0
        return self._chunks_with[term]

    def _gains(self, term: str) -> tuple[Ids, NDArray[np.float64]]:
        """Chunks that hold the term, and what it adds to their scores. The last ones are kept: a server is asked
        about the same words again and again, and reading their postings is most of the work."""
        if term in self._kept:
            self._kept.move_to_end(term)
            return self._kept[term]
        ids, frequencies = self._postings(term)
        self._kept[term] = ids, self._idf(term) * self._saturated(ids, frequencies)
        self._kept_postings += len(ids)
        while self._kept_postings > KEPT_POSTINGS and len(self._kept) > 1:
            _, (dropped, _) = self._kept.popitem(last=False)
            self._kept_postings -= len(dropped)
        return self._kept[term]

    def _postings(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        """Chunks that hold the term, ascending, and how often. One string for all: a row each takes twice as long."""
        query = "SELECT group_concat(doc) FROM lexical_places WHERE term = ?"
        (places,) = self._database.execute(query, (_folded(term),)).fetchone()
        rows = np.fromstring(places, np.int64, sep=",")  # a row for each place where the term stands
        first = np.flatnonzero(np.concatenate(([True], rows[1:] != rows[:-1])))
        return rows[first], np.concatenate((first[1:], [len(rows)])) - first

    def _idf(self, term: str) -> float:
        count = self._count(term)
        return max(math.log((self._chunks - count + 0.5) / (count + 0.5)), LEAST_IDF)

    def _saturated(self, ids: Ids, frequencies: NDArray[np.int64]) -> NDArray[np.float64]:
        spread = K1 * (1 - B + B * self._lengths[ids] / self._mean)
        return frequencies * (K1 + 1) / (frequencies + spread)


def frequent_terms(database: sqlite3.Connection) -> dict[str, int]:
    """Terms in more than POSTINGS chunks, and in how many. A search would find out by reading all their postings, 10 ms
    for each of them in a million chunks, only to leave them out; this reads the whole index once (2 s)."""
    return dict(database.execute("SELECT term, doc FROM lexical_vocab WHERE doc > ?", (POSTINGS,)).fetchall())


def _distinct(ids: Ids) -> Ids:
    """Sorted, each once. (np.unique hashes integers, which takes ten times as long.)"""
    ids = np.sort(ids)
    return ids[np.concatenate(([True], ids[1:] != ids[:-1]))[: len(ids)]]


def _folded(term: str) -> str:
    """As FTS5's ascii tokenizer stores it."""
    return "".join(char.lower() if char.isascii() else char for char in term)
