"""Look up terms and documents in PostgreSQL, as `rag_search.index.lookups` does in SQLite."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rag_search.index.postgres import postings
from rag_search.index.postgres.bm25 import Bm25
from rag_search.index.postgres.filters import Selection
from rag_search.index.postgres.rows import content_hashes
from rag_search.index.postgres.snapshot import Snapshot
from rag_search.index.store.layout import IndexCounts
from rag_search.records import Chunk, Document, DocumentFacts

_RANGE = """SELECT term, sum(count)::bigint FROM postings WHERE term >= %s AND term < %s
    GROUP BY term HAVING sum(count) > 0 ORDER BY term LIMIT %s"""
_OUTSIDE = "documents.id NOT IN (SELECT document FROM chunks WHERE chunks.id = ANY(%s))"


class Lookups(ABC):
    """The part of a reader that answers from the tables of terms and documents."""

    _snapshot: Snapshot
    _lock: threading.Lock
    _bm25: Bm25

    @property
    @abstractmethod
    def counts(self) -> IndexCounts:
        """Sizes of this generation."""

    @abstractmethod
    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Return the chunks, in order."""

    @abstractmethod
    def document(self, path: str) -> Document:
        """Return the document at `path`."""

    @abstractmethod
    def _among(self, ids: NDArray[np.int64], selection: Selection) -> list[int]:
        """Return those ids that a selection contains."""

    @cached_property
    def chunk_count(self) -> int:
        """Number of chunks that can be found."""
        return self.counts.chunks

    def matching(self, alternatives: Sequence[Sequence[str]], limit: int) -> list[int]:
        """Return ids of chunks that have all terms of any alternative, ascending, at most `limit`."""
        found: set[int] = set()
        with self._snapshot.connection() as connection, self._lock:
            for terms in alternatives:
                sets = [set(self._bm25.search(connection, [term])[0].tolist()) for term in terms]
                found |= set.intersection(*sets) if sets else set()
        return sorted(found)[:limit]

    def term_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks that have each term."""
        keys = {term: postings.key_of(term) for term in dict.fromkeys(terms)}
        with self._snapshot.connection() as connection, self._lock:
            counts = self._bm25.count(connection, list(keys.values()))
        return {term: counts[key] for term, key in keys.items()}

    def terms_between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        with self._snapshot.connection() as connection:
            rows = connection.execute(_RANGE, (first, last, limit)).fetchall()
        return [(str(term), int(count)) for term, count in rows]

    def facts(self, chunk_ids: Sequence[int]) -> list[DocumentFacts]:
        """Return what is stored about the document of each chunk, in order."""
        paths = [chunk.path for chunk in self.chunks(chunk_ids)]
        documents = {path: self.document(path) for path in dict.fromkeys(paths)}
        return [
            DocumentFacts(path, found.title, found.metadata, found.updated)
            for path in paths
            for found in (documents[path],)
        ]

    def content_hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the SHA-256 of the bytes of each of these documents that is in the index."""
        with self._snapshot.connection() as connection:
            return content_hashes(connection, paths)

    def within(self, chunk_ids: Sequence[int], selection: Selection) -> list[int]:
        """Return those ids that a selection contains."""
        return self._among(np.asarray(chunk_ids, np.int64), selection)

    def outside(self, chunk_ids: Sequence[int], *, allowed: Selection | None = None) -> Selection:
        """Return a selection of chunks, of those `allowed`, in other documents than those of `chunk_ids`."""
        values = ([int(chunk_id) for chunk_id in chunk_ids],)
        if allowed is None:
            return Selection(_OUTSIDE, values)
        return Selection(f"{allowed.condition} AND {_OUTSIDE}", (*allowed.values, *values))
