"""Reading an index in PostgreSQL: one generation, from the first row to the last.

A reader holds a transaction (REPEATABLE READ), so nothing that a writer commits changes what it sees. `is_stale` says
when it is time to open a new one; until then the database keeps old rows for it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import FingerprintError, InputError
from rag_search.index.postgres import dense, filters, rows, sparse, state
from rag_search.index.postgres.bm25 import Bm25, best
from rag_search.index.postgres.filters import Selection
from rag_search.index.postgres.lookups import Lookups
from rag_search.index.postgres.snapshot import Snapshot, Watch
from rag_search.index.postgres.vectors import BOUND_S, Consistency, VectorStore
from rag_search.index.store.closing import Closing
from rag_search.index.store.layout import REBUILD, FileState, IndexCounts
from rag_search.records import Chunk, Document, Encoded, FloatMatrix, FloatVector, TokenVectors

KEPT_CHUNKS = 2000
KEPT_VECTORS = 10_000  # 15 MB at 384 dimensions
_FILTER_BATCH = 2000  # chunks whose documents are looked at together


class PostgresReader(Closing, Lookups):
    """Made by `opening.open_reader`; use it in a `with` block. Safe for many threads at once."""

    def __init__(self, snapshot: Snapshot, vectors: VectorStore | None = None) -> None:
        self.path = snapshot.place
        self._snapshot = snapshot
        self._vectors = vectors
        self._watch = Watch(snapshot)
        self._bounded_at = time.monotonic() + BOUND_S - snapshot.head.age_s
        self._lock = threading.Lock()
        self._kept_chunks: dict[int, Chunk] = {}
        self._kept_vectors: dict[int, FloatVector] = {}
        self.generation = snapshot.head.generation
        try:
            with snapshot.connection() as connection:
                self.manifest = state.read_manifest(connection, snapshot.place)
                self._totals = state.read_totals(connection)
                self._hnsw = dense.has_hnsw(connection)
            self._bm25 = Bm25(self._totals.chunks, self._totals.terms)
        except BaseException:
            snapshot.close()
            raise

    def close(self) -> None:
        """Close the connections, after what other threads read."""
        self._snapshot.close()
        self._watch.close()
        if self._vectors is not None:
            self._vectors.close()

    @property
    def kind(self) -> str:
        """How vectors are searched, for people."""
        if self._vectors is not None:
            return "Milvus"
        return "pgvector HNSW" if self._hnsw else "pgvector exact"

    @cached_property
    def counts(self) -> IndexCounts:
        """Sizes of this generation; bytes are those of the tables now."""
        with self._snapshot.connection() as connection:
            size = state.bytes_of(connection, self._snapshot.place, self._snapshot.head.edition)
        return IndexCounts(self._totals.documents, self._totals.chunks, self._totals.removed, size)

    @property
    def pending_count(self) -> int:
        """0: documents are stored with their vectors."""
        return 0

    def encode_with(self, encode: Callable[[Sequence[str]], Encoded]) -> None:
        """Do nothing: no chunk lacks its vectors."""

    def is_stale(self) -> bool:
        """Return whether a newer generation can be opened, or this one can no longer be read.

        Raises StoreUnavailableError when the database takes the question and gives no answer.
        """
        return self._watch.is_stale()

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: Selection | None = None
    ) -> tuple[NDArray[np.int64], FloatMatrix]:
        """Return chunk ids and dot products, both (q, top_k), best first; -1 and -inf where there are fewer.

        vectors: float32 (q, dim) unit rows. allowed: what `select` gave. Raises FingerprintError for another dim.
        """
        queries = np.ascontiguousarray(vectors, np.float32)
        if queries.ndim != 2:
            raise ValueError(f"queries must be a matrix, not of shape {queries.shape}")
        if queries.shape[1] != (dim := self.manifest.dim):
            raise FingerprintError(f"{self.path} was made with dim {dim}, not {queries.shape[1]}.", remedy=REBUILD)
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
        ids = np.full((len(queries), top_k), -1, np.int64)
        scores = np.full((len(queries), top_k), -np.inf, np.float32)
        with self._snapshot.connection() as connection:
            for number, query in enumerate(queries):
                if self._vectors is None:
                    found, values, read = dense.nearest(connection, query, top_k, selection=allowed, hnsw=self._hnsw)
                else:
                    ask = partial(self._vectors.search, query, consistency=self._consistency)
                    found, values, read = dense.nearest_of(connection, query, top_k, ask, selection=allowed)
                ids[number, : len(found)], scores[number, : len(found)] = found, values
                self._keep_vectors(read)
        return ids, scores

    @property
    def _consistency(self) -> Consistency:
        """Strong costs a fifth of a second, and is needed only for rows that were written a moment ago."""
        return "Bounded" if time.monotonic() > self._bounded_at else "Strong"

    def search_lexical(
        self, terms: Sequence[str], top_k: int, *, allowed: Selection | None = None
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Return chunk ids and BM25 scores of chunks with any of `terms`, best first, at most `top_k`."""
        if self._vectors is not None and self._snapshot.place.has_terms and terms:
            ask = partial(self._vectors.search_terms, consistency=self._consistency)
            with self._snapshot.connection() as connection, self._lock:
                found = sparse.search(connection, self._bm25, ask, terms, top_k, selection=allowed)
            if found is not None:
                return found
        with self._snapshot.connection() as connection, self._lock:
            ids, scores = self._bm25.search(connection, terms)
        if allowed is None:
            return best(ids, scores, top_k)
        ids, values = best(ids, scores, len(ids))
        keep = np.zeros(len(ids), np.bool_)
        for start in range(0, len(ids), _FILTER_BATCH):
            batch = ids[start : start + _FILTER_BATCH]
            keep[start : start + _FILTER_BATCH] = np.isin(batch, self._among(batch, allowed))
            if int(keep.sum()) >= top_k:
                break
        return ids[keep][:top_k], values[keep][:top_k]

    def _among(self, ids: NDArray[np.int64], selection: Selection) -> list[int]:
        query = f"""SELECT chunks.id FROM chunks JOIN documents ON documents.id = document
            WHERE chunks.id = ANY(%s) AND {selection.condition}"""
        with self._snapshot.connection() as connection:
            return [number for (number,) in connection.execute(query, (ids.tolist(), *selection.values))]

    def select(
        self, *, path_glob: Sequence[str] = (), where: Mapping[str, str] | None = None, since: str | None = None
    ) -> Selection | None:
        """Return the condition that chunks must meet, None without one; see rag_search.index.filters."""
        return filters.select(path_glob=path_glob, where=where or {}, since=since)

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Return chunks in the order of the ids. Raises KeyError for an id that is not in this generation."""
        kept = self._kept_chunks
        missing = [chunk_id for chunk_id in chunk_ids if chunk_id not in kept]
        if missing:
            with self._snapshot.connection() as connection:
                loaded = {chunk.chunk_id: chunk for chunk in rows.load_chunks(connection, missing)}
            kept = {**({} if len(kept) > KEPT_CHUNKS else kept), **loaded}
            result = [kept.get(chunk_id) or self._kept_chunks[chunk_id] for chunk_id in chunk_ids]
            self._kept_chunks = kept
            return result
        return [kept[chunk_id] for chunk_id in chunk_ids]

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
        """Return float32 (n, dim) in the order of the ids. Raises KeyError for an id that is not there."""
        kept = self._kept_vectors
        missing = [chunk_id for chunk_id in chunk_ids if chunk_id not in kept]
        if missing:
            with self._snapshot.connection() as connection:
                kept = {**kept, **rows.load_vectors(connection, missing)}
        return rows.matrix([kept[chunk_id] for chunk_id in chunk_ids], self.manifest.dim)

    def _keep_vectors(self, found: Mapping[int, FloatVector]) -> None:
        """Keep vectors that a search has read: `vectors` is asked for them next."""
        kept = {} if len(self._kept_vectors) > KEPT_VECTORS else self._kept_vectors
        self._kept_vectors = {**kept, **found}

    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors:
        """Return token vectors in the order of the ids. Raises InputError when the embedder made none."""
        if not self.manifest.token_dim:
            raise InputError(f"{self.manifest.embedder_name} stores no token vectors.")
        with self._snapshot.connection() as connection:
            return rows.load_tokens(connection, chunk_ids, self.manifest.token_bytes)

    def term_lines(self, chunk_ids: Sequence[int]) -> list[str]:
        """Return the terms of chunks for BM25, joined by spaces, in the order of the ids. Raises KeyError."""
        with self._snapshot.connection() as connection:
            return rows.load_term_lines(connection, chunk_ids)

    def document(self, path: str) -> Document:
        """Return a document. Raises InputError when no document has this path."""
        with self._snapshot.connection() as connection:
            document = rows.load_document(connection, path)
        if document is None:
            raise InputError(f"{path} is not in the index {self.path}.", remedy="Run: ragsearch status")
        return document

    def document_chunks(self, path: str) -> list[Chunk]:
        """Return the chunks of a document in reading order; empty when it has none."""
        with self._snapshot.connection() as connection:
            return rows.chunks_of(connection, path)

    def documents(self) -> list[str]:
        """Return the paths of all documents, sorted."""
        with self._snapshot.connection() as connection:
            return [path for (path,) in connection.execute("SELECT path FROM documents ORDER BY path")]

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Iterate over the paths of all documents, sorted, with the state of the file each was read from."""
        with self._snapshot.connection() as connection:
            yield from rows.iterate_files(connection)

    def base(self) -> str | None:
        """Return what `set_base` recorded; None if no writer has."""
        with self._snapshot.connection() as connection:
            return state.read_meta(connection, "base")

    def chunking(self) -> str | None:
        """Return the rules by which documents are cut; None if no writer has recorded them."""
        with self._snapshot.connection() as connection:
            return state.read_meta(connection, "chunking")

    def roots(self) -> list[str]:
        """Return the folders that the index is kept equal to."""
        with self._snapshot.connection() as connection:
            return state.read_roots(connection)
