"""BM25 over FTS5, any term may match (OR).

Words that stand in very many passages decide little and cost nearly everything: 100,000 postings take 50 to 75 ms. So
the terms of a query are taken rarest first, as long as all together have no more than POSTINGS. An index of a few
thousand passages never gets there, and every term counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.index.vectors import in_sorted
from rag_search.records import FloatVector

POSTINGS = 20_000
MAX_TERMS = 128  # of one query: a whole page given as a query has thousands
_FETCH = 1000


class LexicalSearch:
    """Ranks the chunks of one database snapshot. For one thread at a time."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._chunks_with: dict[str, int] = {}

    def search(
        self, terms: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Ids and BM25 scores, best first, ties by id; at most `top_k`. allowed: only these ids, sorted."""
        chosen = self._telling(terms)
        if not chosen:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        found: list[tuple[int, float]] = []
        for rows in self._ranked(chosen, None if allowed is not None else top_k):
            found.extend(rows if allowed is None else _only(rows, allowed))
            if len(found) >= top_k:
                break
        ids, scores = zip(*found[:top_k], strict=True) if found else ((), ())
        return np.array(ids, np.int64), np.array(scores, np.float32)

    def _telling(self, terms: Sequence[str]) -> list[str]:
        """The terms worth looking for, rarest first."""
        counts = {term: self._count(term) for term in dict.fromkeys(terms)}
        present = sorted((term for term in counts if counts[term]), key=lambda term: (counts[term], term))
        read = np.cumsum([counts[term] for term in present])
        return present[: max(1, min(MAX_TERMS, int((read <= POSTINGS).sum())))]

    def _count(self, term: str) -> int:
        """Chunks that hold the term. Remembered, because FTS5 counts by reading the whole posting list."""
        if term not in self._chunks_with:
            query = "SELECT doc FROM lexical_vocab WHERE term = ?"
            row = self._database.execute(query, (_folded(term),)).fetchone()
            self._chunks_with[term] = row[0] if row else 0
        return self._chunks_with[term]

    def _ranked(self, terms: Sequence[str], limit: int | None) -> Iterator[list[tuple[int, float]]]:
        match = " OR ".join('"' + term.replace('"', '""') + '"' for term in terms)
        cursor = self._database.execute(
            "SELECT rowid, -bm25(lexical) FROM lexical WHERE lexical MATCH ? ORDER BY bm25(lexical), rowid LIMIT ?",
            (match, -1 if limit is None else limit),
        )
        try:
            while rows := cursor.fetchmany(_FETCH):
                yield rows
        finally:
            cursor.close()


def _only(rows: list[tuple[int, float]], allowed: NDArray[np.int64]) -> list[tuple[int, float]]:
    keep = in_sorted(np.array([row for row, _ in rows], np.int64), allowed)
    return [row for row, kept in zip(rows, keep, strict=True) if kept]


def _folded(term: str) -> str:
    """As FTS5's ascii tokenizer stores it."""
    return "".join(char.lower() if char.isascii() else char for char in term)
