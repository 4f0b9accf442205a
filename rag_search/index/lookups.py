"""Look up terms and documents: which chunks have a term, how many do, and whose chunks they are."""

from __future__ import annotations

import json
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from rag_search.index.bm25 import LexicalSearch
from rag_search.index.dense.base import Ids, in_sorted
from rag_search.index.store import rows as row_io
from rag_search.index.store import state
from rag_search.records import Chunk, DocumentFacts

MAX_ALTERNATIVES = 16


class Lookups(ABC):
    """The part of a reader that answers from the tables of terms and documents."""

    @abstractmethod
    def _query(self) -> AbstractContextManager[sqlite3.Connection]:
        """Return the connection, for one thread at a time."""

    @abstractmethod
    def _lexical_search(self, database: sqlite3.Connection) -> LexicalSearch:
        """Return BM25 over the connection."""

    @abstractmethod
    def _chunk_ids(self) -> Ids:
        """Return the sorted ids of all chunks."""

    def term_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks that have each term; BM25 counts them too, and caches the counts."""
        with self._query() as database:
            return self._lexical_search(database).counts(terms)

    def matching(self, alternatives: Sequence[Sequence[str]], limit: int) -> list[int]:
        """Return ids of chunks that have all terms of any alternative, ascending, at most `limit`."""
        parts = [" AND ".join(map(_quoted, terms)) for terms in alternatives[:MAX_ALTERNATIVES] if terms]
        if not parts:
            return []
        expression = " OR ".join(f"({part})" for part in parts)
        query = "SELECT rowid FROM lexical WHERE lexical MATCH ? ORDER BY rowid LIMIT ?"
        with self._query() as database:
            return [row for (row,) in database.execute(query, (expression, limit))]

    def terms_between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        with self._query() as database:
            return self._lexical_search(database).between(first, last, limit)

    def facts(self, chunk_ids: Sequence[int]) -> list[DocumentFacts]:
        """Return what is stored about the document of each chunk, in order."""
        query = (
            "SELECT chunks.id, path, title, metadata, updated FROM chunks"
            " JOIN documents ON documents.id = chunks.document WHERE chunks.id IN (SELECT value FROM json_each(?))"
        )
        with self._query() as database:
            rows = {row[0]: row[1:] for row in database.execute(query, (json.dumps(list(map(int, chunk_ids))),))}
        documents = {
            path: DocumentFacts(path, title, json.loads(metadata), updated)
            for path, title, metadata, updated in rows.values()
        }
        return [documents[rows[int(chunk_id)][0]] for chunk_id in chunk_ids]

    def content_hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the SHA-256 of the bytes of each of these documents that is in the index."""
        query = "SELECT path, content_hash FROM documents WHERE path IN (SELECT value FROM json_each(?))"
        with self._query() as database:
            return dict(database.execute(query, (json.dumps(list(paths)),)).fetchall())

    def document_chunks(self, path: str) -> list[Chunk]:
        """Return the chunks of a document in reading order; empty when it has none."""
        with self._query() as database:
            return list(row_io.chunks_of(database, path))

    def documents(self) -> list[str]:
        """Return the paths of all documents, sorted."""
        with self._query() as database:
            return [path for (path,) in database.execute("SELECT path FROM documents ORDER BY path")]

    def base(self) -> str | None:
        """Return the folder recorded by `IndexWriter.set_base`; None if there is none."""
        with self._query() as database:
            return state.read_meta(database, "base")

    def chunking(self) -> str | None:
        """Return the rules recorded by `IndexWriter.set_chunking`; None if there are none."""
        with self._query() as database:
            return state.read_meta(database, "chunking")

    def roots(self) -> list[str]:
        """Return the folders that the index is kept equal to."""
        with self._query() as database:
            return state.read_roots(database)

    def within(self, chunk_ids: Sequence[int], selection: Ids) -> list[int]:
        """Return those ids that a selection contains."""
        ids = np.asarray(chunk_ids, np.int64)
        return [int(chunk_id) for chunk_id in ids[in_sorted(ids, selection)]]

    def outside(self, chunk_ids: Sequence[int], *, allowed: Ids | None = None) -> Ids:
        """Return the sorted ids of chunks, of those `allowed`, in other documents than those of `chunk_ids`."""
        query = (
            "SELECT id FROM chunks WHERE document IN"
            " (SELECT document FROM chunks WHERE id IN (SELECT value FROM json_each(?))) ORDER BY id"
        )
        with self._query() as database:
            rows = database.execute(query, (json.dumps(list(map(int, chunk_ids))),)).fetchall()
        inside = np.array([row for (row,) in rows], np.int64)
        ids = self._chunk_ids() if allowed is None else allowed
        return ids[~in_sorted(ids, inside)]


def _quoted(term: str) -> str:
    """Return a term as a string of FTS5."""
    return '"' + term.replace('"', '""') + '"'
