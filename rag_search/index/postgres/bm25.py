"""BM25 over the postings in PostgreSQL; the formula, its constants and its limits are those of the local index."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.index.bm25 import K1, LEAST_IDF, MAX_TERMS, POSTINGS, B
from rag_search.index.dense.exact import top
from rag_search.index.postgres import postings
from rag_search.index.postgres.connection import Connection
from rag_search.records import FloatVector

Ids = NDArray[np.int64]
KEPT_POSTINGS = 1_000_000  # 16 MB
MAX_COUNTS = 100_000  # terms whose number of chunks is remembered


class Bm25:
    """Ranks the chunks of one snapshot. For one thread at a time.

    chunks: how many there are. terms: their terms together.
    """

    def __init__(self, chunks: int, terms: int) -> None:
        self._chunks = chunks
        self._mean = terms / max(1, chunks)
        self._counts: dict[str, int] = {}
        self._kept: OrderedDict[str, tuple[Ids, NDArray[np.float64]]] = OrderedDict()
        self._kept_postings = 0

    def search(self, connection: Connection, terms: Sequence[str]) -> tuple[Ids, NDArray[np.float64]]:
        """Return ids and scores of all chunks that hold one of the chosen terms, by ascending id."""
        chosen = self._choose(connection, [postings.key_of(term) for term in terms])
        self._load(connection, chosen)
        gains = [self._kept[term] for term in chosen]
        if not gains:
            return np.empty(0, np.int64), np.empty(0)
        ids, places = np.unique(np.concatenate([found for found, _ in gains]), return_inverse=True)
        scores = np.zeros(len(ids))
        start = 0
        for found, values in gains:  # term by term: the order of additions decides the last bit
            scores[places[start : start + len(found)]] += values
            start += len(found)
        return ids, scores

    def rarities(self, connection: Connection, terms: Sequence[str]) -> dict[str, float]:
        """Return the inverse document frequency of each chosen term."""
        chosen = self._choose(connection, [postings.key_of(term) for term in terms])
        return {term: self._idf(self._counts[term]) for term in chosen}

    def count(self, connection: Connection, terms: Sequence[str]) -> dict[str, int]:
        """Return how many chunks hold each stored term."""
        if len(self._counts) > MAX_COUNTS:
            self._counts.clear()
        unknown = [term for term in dict.fromkeys(terms) if term not in self._counts]
        if unknown:
            found = postings.count_chunks(connection, unknown)
            self._counts.update({term: found.get(term, 0) for term in unknown})
        return {term: self._counts[term] for term in dict.fromkeys(terms)}

    def _choose(self, connection: Connection, terms: Sequence[str]) -> list[str]:
        """Return the rarest terms, as many as have at most POSTINGS postings together."""
        counts = self.count(connection, terms)
        present = sorted((term for term in counts if counts[term]), key=lambda term: (counts[term], term))
        read = np.cumsum([counts[term] for term in present])
        return present[: max(1, min(MAX_TERMS, int((read <= POSTINGS).sum())))]

    def _load(self, connection: Connection, terms: Sequence[str]) -> None:
        """Read the postings of terms that are not in memory yet, and drop those not used for longest."""
        for term in terms:
            if term in self._kept:
                self._kept.move_to_end(term)
        missing = [term for term in terms if term not in self._kept]
        if missing:
            for term, entries in postings.read_postings(connection, missing).items():
                self._kept[term] = entries["chunk"].copy(), self._idf(len(entries)) * self._saturated(entries)
                self._kept_postings += len(entries)
        while self._kept_postings > KEPT_POSTINGS and len(self._kept) > len(terms):
            _, (dropped, _) = self._kept.popitem(last=False)
            self._kept_postings -= len(dropped)

    def _idf(self, count: int) -> float:
        return max(math.log((self._chunks - count + 0.5) / (count + 0.5)), LEAST_IDF)

    def _saturated(self, entries: postings.Entries) -> NDArray[np.float64]:
        return saturated(entries["times"].astype(np.int64), entries["length"], self._mean)


def saturated(times: NDArray[np.int64], lengths: NDArray[Any], mean: float) -> NDArray[np.float64]:
    """Return the weight of a term in chunks that hold it `times` times. mean: of the lengths of all chunks."""
    spread = K1 * (1 - B + B * lengths / mean)
    return times * (K1 + 1) / (times + spread)


def best(ids: Ids, scores: NDArray[np.float64], top_k: int) -> tuple[Ids, FloatVector]:
    """Return the best `top_k`, ties by id."""
    return top(ids, scores.astype(np.float32), top_k)
