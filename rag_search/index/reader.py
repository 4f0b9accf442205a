"""Read an index: one generation, from the first byte to the last.

A reader holds a SQLite read transaction and open files, so no writer changes what it sees: new documents do not
appear, and compacted files stay readable. `is_stale` says when to open a new reader.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rag_search.errors import FingerprintError, InputError
from rag_search.index import filters
from rag_search.index.bm25 import LexicalSearch, held_when_warm
from rag_search.index.dense.base import DerivedIndex, IdMatrix, Ids, VectorRows, VectorSearch
from rag_search.index.dense.select import search_exactly
from rag_search.index.looked_at import LookedAt
from rag_search.index.lookups import Lookups
from rag_search.index.postings import open_postings
from rag_search.index.store import rows as row_io
from rag_search.index.store import state
from rag_search.index.store.closing import Closing
from rag_search.index.store.database import connect, identity_of, is_initialised, reading_errors, replaced, store_errors
from rag_search.index.store.layout import REBUILD, FileState, IndexCounts, bytes_in, no_index
from rag_search.index.store.segments import Segment, close_all
from rag_search.index.unencoded import Encode, Unencoded
from rag_search.records import Chunk, Document, FloatMatrix, FloatVector, TokenVectors

if TYPE_CHECKING:
    from rag_search.index.store.encodings import StoredChunk


class IndexReader(Closing, Lookups):
    """One generation of an index, opened by `open_reader`; use it in a `with` block. Safe for many threads at once."""

    def __init__(self, path: Path, identity: tuple[object, ...], *, vectors: DerivedIndex) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._derived_index = vectors
        self._looked_at = LookedAt()
        self._segments: dict[str, Segment] = {}
        self._rows: VectorRows | None = None
        self._vectors: VectorSearch | None = None
        self._lexical: LexicalSearch | None = None
        self._identity = identity
        self._watch: sqlite3.Connection | None = None
        self._database = connect(path)
        try:
            self._watch = connect(path)
            self._open_snapshot()
            if identity_of(path) != identity:  # one of the connections may be to the former file
                raise replaced(path)
        except BaseException:
            self.close()
            raise

    def _open_snapshot(self) -> None:
        self._database.execute("BEGIN")  # the first SELECT takes the snapshot that all later ones see
        if not is_initialised(self._database):
            raise no_index(self.path)
        self.manifest = state.read_manifest(self._database)
        self.manifest.require_current(self.path)
        self.generation = state.read_generation(self._database)
        self._segments = state.open_segments(self._database, self.path, self.manifest)
        self._deleted = state.read_deleted(self._database)
        self._unencoded = Unencoded(state.read_pending(self._database), self._passages)
        self._pending = frozenset(self._unencoded.ids.tolist())

    def close(self) -> None:
        """Close all files, after a statement that runs in another thread: SQLite would crash the process."""
        with self._lock:
            self._rows = self._vectors = self._lexical = None
            close_all(self._segments)
            for database in (self._database, self._watch):
                if database is not None:
                    database.close()

    @property
    def kind(self) -> str:
        """How vectors are searched, for people."""
        return self._vector_search().kind

    @property
    def counts(self) -> IndexCounts:
        """Sizes of this generation; bytes are those of the folder now."""
        with self._query() as database:
            (documents,) = database.execute("SELECT count(*) FROM documents").fetchone()
        return IndexCounts(
            documents, self.chunk_count, len(self._deleted), bytes_in(self.path), pending=self.pending_count
        )

    @property
    def chunk_count(self) -> int:
        """Number of chunks that can be found."""
        return self._segments["vectors"].rows - len(self._deleted)

    @property
    def pending_count(self) -> int:
        """Number of chunks that have no vectors yet, and are found by their terms only."""
        return len(self._unencoded.ids)

    def encode_with(self, encode: Encode) -> None:
        """Let `encode` make the vectors of candidates that have none yet."""
        self._unencoded.encode = encode

    def is_stale(self) -> bool:
        """Return whether a newer generation can be opened. It takes some 20 microseconds: poll it."""
        identity = identity_of(self.path)
        if identity != self._identity or self._watch is None:
            return identity is not None  # None: a rebuild between two files, with nothing to open yet
        with self._lock, store_errors(self.path):
            return state.read_generation(self._watch) != self.generation

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: Ids | None = None
    ) -> tuple[IdMatrix, FloatMatrix]:
        """Return chunk ids and dot products (q, top_k), best first; -1 and -inf where there are fewer.

        vectors: float32 (q, dim) unit rows. allowed: sorted ids to choose from, as `select` returns them. Raises
        FingerprintError for vectors of another dim: a server can change its model and keep its name.
        """
        queries = np.ascontiguousarray(vectors, np.float32)
        if queries.ndim != 2:
            raise ValueError(f"queries have shape {queries.shape}, not (q, dim)")
        if queries.shape[1] != (dim := self.manifest.dim):
            raise FingerprintError(f"{self.path} was made with dim {dim}, not {queries.shape[1]}.", remedy=REBUILD)
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
        return self._vector_search().search(queries, top_k, allowed=allowed)

    def search_lexical(
        self, terms: Sequence[str], top_k: int, *, allowed: Ids | None = None
    ) -> tuple[Ids, FloatVector]:
        """Return ids and BM25 scores of chunks with any of `terms`, best first, at most `top_k`."""
        with self._query() as database:
            return self._lexical_search(database).search(terms, top_k, allowed=allowed)

    def select(
        self, *, path_glob: Sequence[str] = (), where: Mapping[str, str] | None = None, since: str | None = None
    ) -> Ids | None:
        """Return the sorted ids of chunks that meet every condition, None without one; see `filters.select`."""
        with self._query() as database:
            return filters.select(database, path_glob=path_glob, where=where or {}, since=since)

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Return chunks in the order of the ids.

        Raises KeyError for an id that is not in this generation, IndexCorruptError for a row whose checksum differs.
        """
        with self._query() as database:

            def load(missing: Sequence[int]) -> list[StoredChunk]:
                from rag_search.index.store.encodings import load_stored  # while the model opens, in a cold query

                return load_stored(database, self._segments, missing, pending=self._pending, place=self.path)

            return self._looked_at.chunks(chunk_ids, load)

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
        """Return vectors, float32 (n, dim), in the order of the ids."""
        rows = self._looked_at.vectors(chunk_ids)
        if rows is None:
            rows = self._vector_rows().gather(np.asarray(chunk_ids, np.int64))
        return self._unencoded.fill_vectors(chunk_ids, rows)

    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors:
        """Return token vectors in the order of the ids. Raises InputError when the embedder made none."""
        if "tokens" not in self._segments:
            raise InputError(f"{self.manifest.embedder_name} stores no token vectors.")
        tokens = self._looked_at.tokens(chunk_ids)
        if tokens is None:
            with self._query() as database:
                places = row_io.places_of(database, chunk_ids)
            with reading_errors(self.path, self._identity):
                rows = self._segments["tokens"].read(places[:, 1], places[:, 2])
            tokens = TokenVectors(rows, places[:, 2], places[:, 3])
        return self._unencoded.fill_tokens(chunk_ids, tokens)

    def term_lines(self, chunk_ids: Sequence[int]) -> list[str]:
        """Return the terms of chunks for BM25, joined by spaces, in the order of the ids. Raises KeyError."""
        with self._query() as database:
            return row_io.load_term_lines(database, chunk_ids)

    def document(self, path: str) -> Document:
        """Return the document at `path`. Raises InputError when there is none."""
        with self._query() as database:
            document = row_io.load_document(database, path)
        if document is None:
            raise InputError(f"{path} is not in the index {self.path}.", remedy="Run: ragsearch status")
        return document

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Iterate over the paths of all documents, sorted, with the state of the file each was read from."""
        return row_io.iterate_files(self._query)

    def _vector_rows(self) -> VectorRows:
        rows = self._rows
        if rows is not None:  # without the lock, which a lexical search may hold for milliseconds
            return rows
        with self._query() as database:
            hidden = np.sort(np.concatenate((self._deleted, self._unencoded.ids)))
            self._rows = VectorRows(self._segments["vectors"], hidden, state.read_derived(database, "vectors"))
            return self._rows

    def _chunk_ids(self) -> Ids:
        return VectorRows(self._segments["vectors"], self._deleted).live()

    def _passages(self, chunk_ids: Sequence[int]) -> list[str]:
        return [chunk.passage for chunk in self.chunks(chunk_ids)]

    def _lexical_search(self, database: sqlite3.Connection) -> LexicalSearch:
        if self._lexical is None:
            lengths = self._segments["lengths"].matrix()[:, 0]
            frequent = state.read_frequent_terms(database)
            file = state.read_derived(database, "postings")
            postings = open_postings(database, file, self.path, rows=len(lengths), deleted=self._deleted)
            postings = held_when_warm(postings, rows=len(lengths))
            self._lexical = LexicalSearch(postings, lengths, self._deleted, frequent=frequent)
        return self._lexical

    def _vector_search(self) -> VectorSearch:
        search = self._vectors
        if search is not None:  # without the lock, as above
            return search
        rows = self._vector_rows()
        with self._lock:
            if self._vectors is None:
                self._vectors = self._derived_index.open(rows) or search_exactly(rows)
            return self._vectors

    @contextmanager
    def _query(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread. Raises IndexCorruptError for rows that no writer has written."""
        with self._lock, reading_errors(self.path, self._identity):
            try:
                yield self._database
            except KeyError as error:
                if error.args[0] not in range(self._segments["vectors"].rows):
                    raise
                raise ValueError(f"row {error} has no chunk") from error
