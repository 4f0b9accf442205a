"""BM25 (Robertson et al. 1994), any term may match (OR).

FTS5 stores the postings, so they commit with the text; a large index also has them in a file (see `postings`). The
scores are computed here. FTS5's own bm25() takes a microsecond a posting, most of it to look up the length of a chunk.
Adding the scores in NumPy takes a quarter of that with FTS5's postings, a tenth with the file's; the scores are equal.

Words that occur in very many passages decide little and cost nearly everything. So the terms of a query are taken
rarest first, until together they have more than POSTINGS. An index of a few thousand passages never reaches that.
"""

from __future__ import annotations

import math
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.index.dense.base import Ids, in_sorted
from rag_search.index.dense.exact import top
from rag_search.index.postings import FtsPostings, Postings, folded
from rag_search.records import FloatVector

K1, B = 1.2, 0.75  # as in FTS5 and Lucene
LEAST_IDF = 1e-6  # of a term in more than half of the chunks; as in FTS5
POSTINGS = 20_000
POSTINGS_CACHE_SIZE = 1_000_000  # 16 MB
MAX_COUNTS = 100_000  # terms whose document frequency is cached: 10 MB
HELD_ROWS = 10_000  # 20 MB of postings and terms, read in half a second; a larger index has a file of postings
ROWS_PER_LOOKUP = 4  # rows of the index for each look-up after which its postings are read: a dozen questions
MAX_TERMS = 128  # of one query: a whole page passed as a query has thousands


class LexicalSearch:
    """BM25 over one database snapshot, for one thread at a time.

    postings: where they are read from. lengths: number of terms of each row, int32 (rows,). deleted: sorted rows of
    deleted chunks, which do not count. frequent: the result of `frequent_terms` for this index or a slightly older one.
    """

    def __init__(
        self, postings: Postings, lengths: NDArray[np.int32], deleted: Ids, *, frequent: Mapping[str, int]
    ) -> None:
        self._postings = postings
        self._frequent = frequent
        self._lengths = lengths
        self._sums = np.zeros(len(lengths))  # between searches; new zeros for a million chunks take a millisecond
        self._chunks = len(lengths) - len(deleted)
        self._mean = (int(lengths.sum(dtype=np.int64)) - int(lengths[deleted].sum())) / max(1, self._chunks)
        self._counts: dict[str, int] = {}
        self._cache: OrderedDict[str, tuple[Ids, NDArray[np.float64]]] = OrderedDict()
        self._cached_postings = 0

    def search(
        self, terms: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Return ids and BM25 scores, best first, ties by id, at most `top_k`. allowed: sorted ids to choose from."""
        found = self._gains(self._selective(terms))
        ids = _distinct(np.concatenate([np.empty(0, np.int64), *(places for places, _ in found)]))
        try:
            for places, gains in found:
                self._sums[places] += gains
            scores = self._sums[ids].astype(np.float32)
        finally:
            self._sums[ids] = 0.0
        if allowed is not None:
            inside = in_sorted(ids, allowed)
            ids, scores = ids[inside], scores[inside]
        return top(ids, scores, top_k)

    def _selective(self, terms: Sequence[str]) -> list[str]:
        """Return the terms to look up, rarest first."""
        distinct = dict.fromkeys(terms)
        recorded = {term: count for term in distinct if (count := self._recorded(term))}
        counts = recorded | self.counts([term for term in distinct if term not in recorded])
        present = sorted((term for term in counts if counts[term]), key=lambda term: (counts[term], term))
        read = np.cumsum([counts[term] for term in present])
        return present[: max(1, min(MAX_TERMS, int((read <= POSTINGS).sum())))]

    def _recorded(self, term: str) -> int:
        """Return the recorded document frequency of a frequent term, which may be slightly old; 0 for others."""
        recorded = self._frequent.get(folded(term), 0)
        return recorded if recorded and self._postings.occurs(term) else 0

    def count(self, term: str) -> int:
        """Count the chunks with the term. The count is cached."""
        return self.counts([term])[term]

    def counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Count the chunks with each term. The counts are cached."""
        unknown = [term for term in dict.fromkeys(terms) if term not in self._counts]
        if unknown:
            if len(self._counts) + len(unknown) > MAX_COUNTS:
                self._counts.clear()
                unknown = list(dict.fromkeys(terms))
            self._counts |= self._postings.counts(unknown)
        return {term: self._counts[term] for term in terms}

    def between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        return self._postings.between(first, last, limit)

    def _gains(self, terms: Sequence[str]) -> list[tuple[Ids, NDArray[np.float64]]]:
        """Return for each term the chunks with it and what it adds to their scores.

        The last results are cached: the queries of a server repeat words, and reading postings is most of the work.
        """
        if missing := [term for term in terms if term not in self._cache]:
            self._read(missing)
        for term in terms:
            self._cache.move_to_end(term)
        found = [self._cache[term] for term in terms]
        while self._cached_postings > POSTINGS_CACHE_SIZE and len(self._cache) > 1:
            _, (dropped, _) = self._cache.popitem(last=False)
            self._cached_postings -= len(dropped)
        return found

    def _read(self, terms: Sequence[str]) -> None:
        """Read terms into the cache. Their gains are computed together, since most have few postings."""
        postings = [self._postings.read(term) for term in terms]
        lengths = [len(ids) for ids, _ in postings]
        ids, frequencies = (np.concatenate(column) for column in zip(*postings, strict=True))
        gains = np.repeat([self._idf(term) for term in terms], lengths) * self._saturated(ids, frequencies)
        end = 0
        for term, (own, _) in zip(terms, postings, strict=True):
            start, end = end, end + len(own)
            self._cache[term] = own, gains[start:end].copy()  # a view would keep the gains of all
        self._cached_postings += end

    def _idf(self, term: str) -> float:
        count = self.count(term)
        return max(math.log((self._chunks - count + 0.5) / (count + 0.5)), LEAST_IDF)

    def _saturated(self, ids: Ids, frequencies: NDArray[np.int64]) -> NDArray[np.float64]:
        spread = K1 * (1 - B + B * self._lengths[ids] / self._mean)
        return frequencies * (K1 + 1) / (frequencies + spread)


class WarmingPostings:
    """Postings of FTS5, and HeldPostings after `lookups` terms were looked up. For one thread at a time."""

    def __init__(self, fts: FtsPostings, lookups: int) -> None:
        self._fts = fts
        self._left = lookups
        self._held: Postings | None = None

    @property
    def is_held(self) -> bool:
        """Whether the postings are in memory."""
        return self._held is not None

    def _source(self, lookups: int) -> Postings:
        """Return where to look up so many terms."""
        if self._held is None:
            self._left -= lookups
            if self._left < 0:
                from rag_search.index.held_postings import HeldPostings  # never needed by a single question

                self._held = HeldPostings(self._fts.database)
        return self._held or self._fts

    def occurs(self, term: str) -> bool:
        """Return whether any chunk has the term."""
        return self._source(1).occurs(term)

    def counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks with each term."""
        return self._source(len(terms)).counts(terms)

    def read(self, term: str) -> tuple[Ids, NDArray[np.int64]]:
        """Return the chunks with the term and how often it occurs."""
        return self._source(1).read(term)

    def between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        return self._source(1).between(first, last, limit)


def held_when_warm(postings: Postings, *, rows: int) -> Postings:
    """Return postings that are read into memory once they are asked often, if the index is small."""
    if isinstance(postings, FtsPostings) and rows <= HELD_ROWS:
        return WarmingPostings(postings, rows // ROWS_PER_LOOKUP)
    return postings


def frequent_terms(database: sqlite3.Connection) -> dict[str, int]:
    """Return the terms in more than POSTINGS chunks with their document frequency.

    A search would read all their postings, 10 ms a term in a million chunks, only to leave them out. This reads the
    whole index once (2 s).
    """
    return dict(database.execute("SELECT term, doc FROM lexical_vocab WHERE doc > ?", (POSTINGS,)).fetchall())


def _distinct(ids: Ids) -> Ids:
    """Sort ids and drop duplicates; np.unique hashes integers, which takes ten times as long."""
    ids = np.sort(ids)
    return ids[np.concatenate(([True], ids[1:] != ids[:-1]))[: len(ids)]]
