"""The one writer of an index.

    append rows -> fdatasync -> one SQLite transaction

`commit` returns when everything since the last one is durable; a process killed before that leaves the index as it
was. Rows that were appended but never committed are cut off when the next writer opens it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from rag_search.errors import IndexStoreError
from rag_search.index.bm25 import frequent_terms
from rag_search.index.dense.ann_file import EXACT_ROWS, build_ann, needs_ann
from rag_search.index.store import rows, state
from rag_search.index.store.base_path import noted_form
from rag_search.index.store.compaction import compact, needs_compaction
from rag_search.index.store.database import connect, has_store, store_errors
from rag_search.index.store.disk import DISK, Disk
from rag_search.index.store.encodings import find_encoded, row_checksums, term_counts
from rag_search.index.store.layout import OUTDATED, FileState, IndexManifest
from rag_search.index.store.lock import WriterLock
from rag_search.index.store.recovery import create_store, recover, salvaged_roots
from rag_search.index.store.segments import Segment, close_all
from rag_search.index.store.upgrade import upgrade
from rag_search.records import Chunk, Document, Encoded


def open_writer(path: Path, manifest: IndexManifest, *, rebuild: bool = False, disk: Disk = DISK) -> IndexWriter:
    """Open the index in the folder `path` for writing, or make an empty one. rebuild: drop what it holds first.

    Raises IndexLockedError while another writer has it, FingerprintError when it was made with another manifest,
    IndexCorruptError, IndexStoreError.
    """
    with store_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(path)
        try:
            if rebuild or not has_store(path):
                roots, base = salvaged_roots(path) if rebuild else ([], None)
                create_store(path, manifest, roots=roots, base=base, disk=disk)
            return _opened(path, manifest, lock, disk)
        except BaseException:
            lock.release()
            raise


def _opened(path: Path, manifest: IndexManifest, lock: WriterLock, disk: Disk) -> IndexWriter:
    database = connect(path, writer=True)
    try:
        upgrade(database, path, disk=disk)
        state.read_manifest(database).require_match(manifest, path=path)
        return IndexWriter(path, manifest, database, recover(database, path, disk=disk), lock=lock, disk=disk)
    except BaseException:
        database.close()
        raise


class IndexWriter:
    """Made by `open_writer`; use it in a `with` block. Not for several threads.

    After a failed write the index on disk is as of the last commit, and this object only refuses: open a new one.
    Leaving the block drops what was not committed.
    """

    def __init__(
        self,
        path: Path,
        manifest: IndexManifest,
        database: sqlite3.Connection,
        segments: dict[str, Segment],
        *,
        lock: WriterLock,
        disk: Disk,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._database = database
        self._segments = segments
        self._lock = lock
        self._disk = disk
        self._failed = False
        self._committed_changes = database.total_changes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def files(self) -> dict[str, FileState]:
        """State of every document, by path."""
        with self._reading():
            return rows.load_files(self._database)

    def stored(self, passages: Sequence[str]) -> dict[str, Encoded]:
        """What the embedder made of those of `passages` that some document holds: one row each."""
        with self._reading():
            return {
                passage: encoded
                for passage in dict.fromkeys(passages)
                if (encoded := find_encoded(self._database, self._segments, passage)) is not None
            }

    def put(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        encoded: Encoded,
        terms: Sequence[str],
        *,
        state: FileState,
    ) -> None:
        """Store a document in place of its older version; durable after `commit`.

        encoded: one row per chunk. terms: the terms of each chunk, joined by spaces. Raises InputError for text that
        cannot be stored and ValueError for parts that do not fit together; nothing is written then.
        """
        self._check(document, chunks, encoded, terms)
        with self._writing():
            rows.delete_document(self._database, document.path)
            first_row = self._segments["vectors"].append(encoded.vectors, self._disk)
            tokens = encoded.tokens.rows if encoded.tokens else None
            first_token = 0 if tokens is None else self._segments["tokens"].append(tokens, self._disk)
            self._segments["lengths"].append(term_counts(terms), self._disk)
            number = rows.insert_document(self._database, document, state=state, empty=not chunks)
            rows.insert_chunks(
                self._database,
                number,
                chunks,
                encoded,
                terms,
                checksums=row_checksums(encoded, [chunk.text for chunk in chunks]),
                first_row=first_row,
                first_token=first_token,
            )

    def touch(self, path: str, state: FileState) -> None:
        """Note that a file's size or mtime changed and its content did not."""
        with self._writing():
            self._database.execute(
                "UPDATE documents SET size = ?, mtime_ns = ?, content_hash = ? WHERE path = ?",
                (state.size, state.mtime_ns, state.content_hash, path),
            )

    def remove(self, paths: Iterable[str]) -> None:
        """Remove documents; a path that is not there is no error."""
        with self._writing():
            for path in paths:
                rows.delete_document(self._database, path)

    def roots(self) -> list[str]:
        """The folders that this index is kept equal to."""
        with self._reading():
            return [root for (root,) in self._database.execute("SELECT path FROM roots ORDER BY path")]

    def set_roots(self, roots: Iterable[str]) -> None:
        wanted = sorted(set(roots))
        if wanted == self.roots():
            return
        with self._writing():
            self._database.execute("DELETE FROM roots")
            self._database.executemany("INSERT INTO roots VALUES (?)", [(root,) for root in wanted])

    def base(self) -> str | None:
        """What `set_base` noted, None if nobody noted any."""
        with self._reading():
            return state.read_note(self._database, "base")

    def set_base(self, base: Path) -> None:
        """Note the folder that paths of documents and roots are relative to."""
        noted = noted_form(base, self.path)
        if noted != self.base():
            with self._writing():
                state.write_note(self._database, "base", noted)

    def chunking(self) -> str | None:
        """The rules of `set_chunking`, None if nobody set any."""
        with self._reading():
            return state.read_note(self._database, "chunking")

    def set_chunking(self, rules: str) -> None:
        """Note the rules by which documents are cut from now on. All that are here become OUTDATED until their next
        `put`, so that an ingest that is interrupted, or does not come to all folders, leaves the rest to the next."""
        with self._writing():
            self._database.execute("UPDATE documents SET size = ?", (OUTDATED,))
            state.write_note(self._database, "chunking", rules)

    def commit(self) -> None:
        """Make everything since the last commit durable and visible to new readers, or nothing of it."""
        if self._database.total_changes == self._committed_changes:
            self._rollback()  # of a write that changed nothing, as removing what is not there
            return
        with self._writing():
            for segment in self._segments.values():
                segment.sync(self._disk)
            state.write_segments(self._database, self._segments)
            state.write_generation(self._database, state.read_generation(self._database) + 1)
            self._database.execute("COMMIT")
            self._committed_changes = self._database.total_changes

    def maintain(self, *, exact_rows: int = EXACT_ROWS) -> None:
        """What keeps searches fast, to be called after an ingest: compact when a quarter of the rows are dead, build
        or renew the approximate cache when there are more than `exact_rows` vectors.

        Raises MissingExtraError when the cache is due and FAISS is not installed; everything else is done by then.
        """
        self.commit()
        with self._reading():
            if needs_compaction(self._database, self._segments["vectors"].rows):
                self.compact()
            if needs_ann(state.read_ann(self._database), self._segments["vectors"], exact_rows=exact_rows):
                self.build_ann()

    def compact(self) -> None:
        """Write the living rows into new segments and let go of the old ones. Chunk ids change; open readers keep
        the generation they have."""
        self.commit()
        with self._writing():
            self._segments = compact(self._database, self.path, self._segments, disk=self._disk)
            self._committed_changes = self._database.total_changes

    def build_ann(self) -> None:
        """Build the approximate cache over all rows, and note which terms are frequent. Takes about 15 s for a million
        rows of 384 columns."""
        self.commit()
        with self._writing():
            state.write_frequent_terms(self._database, frequent_terms(self._database))
            build_ann(self._database, self.path, self._segments["vectors"], disk=self._disk)
            self._committed_changes = self._database.total_changes

    def close(self) -> None:
        """Drop what was not committed and let the next writer in."""
        close_all(self._segments)
        self._database.close()
        self._lock.release()

    def _check(self, document: Document, chunks: Sequence[Chunk], encoded: Encoded, terms: Sequence[str]) -> None:
        rows.check_document(document, chunks, encoded, terms)
        if encoded.vectors.shape[1] != self.manifest.dim:
            raise ValueError(f"vectors of {encoded.vectors.shape[1]} columns, the index has {self.manifest.dim}")
        token_columns = encoded.tokens.rows.shape[1] if encoded.tokens else 0
        if token_columns != (wanted := self.manifest.token_bytes):
            raise ValueError(f"token vectors of {token_columns} bytes, the index has {wanted}")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        self._refuse_after_failure()
        with store_errors(self.path):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A write, in the open transaction or a new one. Any failure ends this writer: after an fsync that failed
        nobody can tell what the disk holds, so only a fresh look at the committed state may go on."""
        self._refuse_after_failure()
        try:
            with store_errors(self.path):
                if not self._database.in_transaction:
                    self._database.execute("BEGIN IMMEDIATE")
                yield
        except BaseException:
            self._failed = True
            self._rollback()
            raise

    def _rollback(self) -> None:
        try:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # the first error is the one to report; closing the connection rolls back as well

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise IndexStoreError(f"the last write to {self.path} failed.", remedy="Open a new writer.")
