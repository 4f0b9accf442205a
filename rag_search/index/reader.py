"""Reading an index: one generation, from the first byte to the last.

A reader holds a SQLite read transaction and open files, so nothing a writer does changes what it sees: new documents
do not appear, compacted files stay readable. `is_stale` says when it is time to open a new one.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import FingerprintError, IndexCorruptError, InputError
from rag_search.index import filters
from rag_search.index.bm25 import LexicalSearch
from rag_search.index.dense.exact import VectorRows, VectorSearch
from rag_search.index.dense.select import choose_vector_search
from rag_search.index.store import rows, state
from rag_search.index.store.database import connect, inode_of, is_initialised, store_errors, value_errors
from rag_search.index.store.layout import DATABASE, REBUILD, FileState, IndexCounts, bytes_in, no_index
from rag_search.index.store.segments import Segment, close_all
from rag_search.index.store.upgrade import require_current
from rag_search.records import Chunk, Document, FloatMatrix, FloatVector, TokenVectors

KEPT_CHUNKS = 2000  # 10 MB; a server's questions have most of their candidates in common
_OPEN_ATTEMPTS = 10


def open_reader(
    path: Path, *, vector_search: Callable[[VectorRows], VectorSearch] = choose_vector_search
) -> IndexReader:
    """Open the newest generation of the index in the folder `path`. Needs no lock and never waits for a writer.

    vector_search: makes the vector search at the first dense query. Raises IndexMissingError, IndexCorruptError,
    IndexStoreError.
    """
    for _ in range(_OPEN_ATTEMPTS):
        with store_errors(path), value_errors(path):
            inode = inode_of(path)
            if inode is None:
                raise no_index(path)
            try:
                return IndexReader(path, inode, vector_search=vector_search)
            except FileNotFoundError as error:  # compacted away between our look at meta.db and our open: look again
                gone = error
            except sqlite3.Error:
                if inode_of(path) == inode:
                    raise
                gone = _replaced(path)  # by a rebuild, and SQLite met files of both
    raise IndexCorruptError(f"{gone.filename} is missing.", remedy=REBUILD) from gone


class IndexReader:
    """Made by `open_reader`; use it in a `with` block. Safe for many threads at once."""

    def __init__(self, path: Path, inode: int, *, vector_search: Callable[[VectorRows], VectorSearch]) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._make_vector_search = vector_search
        self._kept_chunks: dict[int, Chunk] = {}
        self._inode = inode
        self._database = connect(path)
        try:
            self._watch = connect(path)
            self._open_snapshot()
            if inode_of(path) != inode:  # one of the connections may be to the former file
                raise _replaced(path)
        except BaseException:
            self.close()
            raise

    def _open_snapshot(self) -> None:
        self._segments: dict[str, Segment] = {}
        self._database.execute("BEGIN")  # the first SELECT takes the snapshot that all later ones see
        if not is_initialised(self._database):
            raise no_index(self.path)
        self.manifest = state.read_manifest(self._database)
        require_current(self.manifest, self.path)
        self.generation = state.read_generation(self._database)
        self._segments = state.open_segments(self._database, self.path, self.manifest)
        self._ann = state.read_ann(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Waits for a statement that runs in another thread: SQLite crashes the process when it is closed beneath."""
        with self._lock:
            for holder_of_a_map in ("_rows", "_vector_search", "_lexical"):
                self.__dict__.pop(holder_of_a_map, None)
            close_all(getattr(self, "_segments", {}))
            for database in (self._database, getattr(self, "_watch", None)):
                if database is not None:
                    database.close()

    @property
    def kind(self) -> str:
        """How vectors are searched, for people."""
        return self._vectors.kind

    @cached_property
    def counts(self) -> IndexCounts:
        """Sizes of this generation; bytes are those of the folder as it is now."""
        with self._query() as database:
            (documents,) = database.execute("SELECT count(*) FROM documents").fetchone()
        total = self._segments["vectors"].rows
        return IndexCounts(documents, total - len(self._dead), len(self._dead), bytes_in(self.path))

    def is_stale(self) -> bool:
        """Whether a newer generation can be opened. Costs some 20 microseconds: poll it."""
        inode = inode_of(self.path)
        if inode is None:
            return False  # a rebuild between two files: there is nothing to open yet
        if inode != self._inode:
            return True
        with self._lock, store_errors(self.path):
            return state.read_generation(self._watch) != self.generation

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], FloatMatrix]:
        """Chunk ids and dot products, both (q, top_k), best first; -1 and -inf where there are fewer.

        vectors: float32 (q, dim) unit rows. allowed: sorted ids to choose from, as `select` gives them. Raises
        FingerprintError for rows of another dim: a server can change its model and keep its name.
        """
        queries = np.ascontiguousarray(vectors, np.float32)
        if queries.ndim != 2:
            raise ValueError(f"queries of shape {queries.shape} are no rows")
        if queries.shape[1] != (dim := self.manifest.dim):
            raise FingerprintError(f"{self.path} was made with dim {dim}, not {queries.shape[1]}.", remedy=REBUILD)
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, not {top_k}")
        return self._vectors.search(queries, top_k, allowed=allowed)

    def search_lexical(
        self, terms: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Chunk ids and BM25 scores of chunks with any of `terms`, best first, at most `top_k`."""
        with self._query():
            return self._lexical.search(terms, top_k, allowed=allowed)

    def select(
        self,
        *,
        path_glob: Sequence[str] = (),
        where: Mapping[str, str] | None = None,
        since: str | None = None,
    ) -> NDArray[np.int64] | None:
        """Sorted ids of the chunks that meet every condition, None without one; see rag_search.index.filters."""
        with self._query() as database:
            return filters.select(database, path_glob=path_glob, where=where or {}, since=since)

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Chunks in the order of the ids. Raises KeyError for an id that is not in this generation."""
        with self._query() as database:
            if len(self._kept_chunks) > KEPT_CHUNKS:
                self._kept_chunks.clear()
            missing = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._kept_chunks]
            if missing:
                self._kept_chunks |= {chunk.chunk_id: chunk for chunk in rows.load_chunks(database, missing)}
            return [self._kept_chunks[chunk_id] for chunk_id in chunk_ids]

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
        """Float32 (n, dim) in the order of the ids."""
        return self._rows.gather(np.asarray(chunk_ids, np.int64))

    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors:
        """Token vectors in the order of the ids. Raises InputError when the embedder made none."""
        if "tokens" not in self._segments:
            raise InputError(f"{self.manifest.embedder_name} stores no token vectors.")
        with self._query() as database:
            starts, counts = (np.array(run, np.int64) for run in rows.token_runs(database, chunk_ids))
        with value_errors(self.path):
            return TokenVectors(self._segments["tokens"].read(starts, counts), counts)

    def document(self, path: str) -> Document:
        """Raises InputError when no document has this path."""
        with self._query() as database:
            document = rows.load_document(database, path)
        if document is None:
            raise InputError(f"{path} is not in the index {self.path}.", remedy="Run: ragsearch status")
        return document

    def document_chunks(self, path: str) -> list[Chunk]:
        """The chunks of a document in reading order; empty when it has none."""
        with self._query() as database:
            return list(rows.chunks_of(database, path))

    def documents(self) -> list[str]:
        """Paths of all documents, sorted."""
        with self._query() as database:
            return [path for (path,) in database.execute("SELECT path FROM documents ORDER BY path")]

    def files(self) -> dict[str, FileState]:
        """Path -> state of the file that each document was read from."""
        with self._query() as database:
            return rows.load_files(database)

    def base(self) -> str | None:
        """See `IndexWriter.set_base`; None if nobody noted any."""
        with self._query() as database:
            return state.read_note(database, "base")

    def chunking(self) -> str | None:
        """See `IndexWriter.chunking`."""
        with self._query() as database:
            return state.read_note(database, "chunking")

    def roots(self) -> list[str]:
        """The folders that the index is kept equal to."""
        with self._query() as database:
            return [root for (root,) in database.execute("SELECT path FROM roots ORDER BY path")]

    @cached_property
    def _dead(self) -> NDArray[np.int64]:
        with self._query() as database:
            found = database.execute("SELECT row FROM tombstones ORDER BY row").fetchall()
            return np.array([row for (row,) in found], np.int64)

    @cached_property
    def _rows(self) -> VectorRows:
        return VectorRows(self._segments["vectors"], self._dead, self._ann)

    @property
    def _vectors(self) -> VectorSearch:
        made: VectorSearch | None = self.__dict__.get("_vector_search")
        if made is not None:  # without the lock: a lexical search may hold it for milliseconds
            return made
        with self._lock:
            return self._vector_search

    @cached_property
    def _vector_search(self) -> VectorSearch:
        return self._make_vector_search(self._rows)

    @cached_property
    def _lexical(self) -> LexicalSearch:
        frequent = state.read_frequent_terms(self._database)
        return LexicalSearch(self._database, self._segments["lengths"].matrix()[:, 0], self._dead, frequent=frequent)

    @contextmanager
    def _query(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time. Raises IndexCorruptError for what no writer has written."""
        with self._lock, store_errors(self.path), value_errors(self.path):
            try:
                yield self._database
            except KeyError as error:
                if error.args[0] not in range(self._segments["vectors"].rows):
                    raise
                raise ValueError(f"row {error} has no chunk") from error


def _replaced(path: Path) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "was replaced", str(path / DATABASE))
