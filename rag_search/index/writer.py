"""The one writer of an index.

    append rows -> fdatasync -> one SQLite transaction

`commit` returns when everything since the last commit is durable; a process killed before that leaves the index as it
was. Rows that were appended and never committed are cut off when the next writer opens the index.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rag_search.index.bm25 import frequent_terms
from rag_search.index.dense.base import DerivedIndex, VectorRows
from rag_search.index.postings_file import build_postings
from rag_search.index.postings_file import is_due as postings_due
from rag_search.index.staged import StagedWrites
from rag_search.index.store import rows as row_io
from rag_search.index.store import state
from rag_search.index.store.base_path import recorded_form
from rag_search.index.store.closing import Closing
from rag_search.index.store.compaction import compact, merge_terms, needs_compaction, needs_merge
from rag_search.index.store.disk import Disk
from rag_search.index.store.encodings import find_encoded, row_checksums, term_counts
from rag_search.index.store.layout import OUTDATED, DerivedFile, FileState, IndexManifest
from rag_search.index.store.lock import WriterLock
from rag_search.index.store.pending import ENCODED, add_pending
from rag_search.index.store.recovery import remove_unnamed
from rag_search.index.store.segments import Segment, close_all
from rag_search.index.store.transaction import Transaction
from rag_search.records import Chunk, Document, Encoded


class IndexWriter(Closing, StagedWrites):
    """The writer of an index, opened by `opening.open_writer`; use it in a `with` block. Not for several threads.

    After a failed write the index on disk is that of the last commit, and every method raises: open a new writer.
    Leaving the block discards everything that was not committed.
    """

    def __init__(
        self,
        path: Path,
        manifest: IndexManifest,
        database: sqlite3.Connection,
        segments: dict[str, Segment],
        *,
        vectors: DerivedIndex,
        lock: WriterLock,
        disk: Disk,
    ) -> None:
        self.path = path
        self.manifest = manifest
        self._database = database
        self._segments = segments
        self._derived_index = vectors
        self._lock = lock
        self._disk = disk
        self._transaction = Transaction(database, path)

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Iterate over the paths of all documents, sorted, with the state of the file each was read from."""
        return row_io.iterate_files(self._lend)

    @contextmanager
    def _lend(self) -> Iterator[sqlite3.Connection]:
        with self._transaction.reading():
            yield self._database

    def stored(self, passages: Sequence[str]) -> dict[str, Encoded]:
        """Return the encoded form, one row each, of those of `passages` that the index contains."""
        with self._transaction.reading():
            condition = ENCODED if state.has_pending_table(self._database) else "TRUE"
            found = {
                passage: find_encoded(self._database, self._segments, passage, condition=condition)
                for passage in dict.fromkeys(passages)
            }
            return {passage: encoded for passage, encoded in found.items() if encoded is not None}

    def put(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        encoded: Encoded,
        terms: Sequence[str],
        *,
        state: FileState,
        pending: Sequence[int] = (),
    ) -> None:
        """Replace a document; durable after `commit`.

        encoded: one row per chunk. terms: the terms of each chunk, joined by spaces. pending: places of chunks without
        vectors, whose rows are zeros; see `complete`. Raises InputError for text that cannot be stored and ValueError
        for parts that do not fit together; nothing is written then.
        """
        row_io.check_document(document, chunks, encoded, terms, manifest=self.manifest, pending=pending)
        with self._transaction.writing():
            row_io.delete_document(self._database, document.path)
            first_row = self._segments["vectors"].append(encoded.vectors, self._disk)
            tokens = encoded.tokens.rows if encoded.tokens else None
            first_token = 0 if tokens is None else self._segments["tokens"].append(tokens, self._disk)
            self._segments["lengths"].append(term_counts(terms), self._disk)
            number = row_io.insert_document(self._database, document, state=state, empty=not chunks)
            row_io.insert_chunks(
                self._database,
                number,
                chunks,
                encoded,
                terms,
                checksums=row_checksums(encoded, [chunk.text for chunk in chunks]),
                first_row=first_row,
                first_token=first_token,
            )
            if pending:
                add_pending(self._database, [first_row + place for place in pending])

    def touch(self, path: str, state: FileState) -> None:
        """Record that the size or mtime of a file changed and its content did not."""
        with self._transaction.writing():
            row_io.touch_document(self._database, path, state)

    def remove(self, paths: Iterable[str]) -> None:
        """Remove documents; unknown paths are ignored."""
        with self._transaction.writing():
            for path in paths:
                row_io.delete_document(self._database, path)

    def roots(self) -> list[str]:
        """Return the folders that the index is kept equal to."""
        with self._transaction.reading():
            return state.read_roots(self._database)

    def set_roots(self, roots: Iterable[str]) -> None:
        """Record the folders that the index is kept equal to."""
        new_roots = sorted(set(roots))
        if new_roots == self.roots():
            return
        with self._transaction.writing():
            self._database.execute("DELETE FROM roots")
            self._database.executemany("INSERT INTO roots VALUES (?)", [(root,) for root in new_roots])

    def base(self) -> str | None:
        """Return the folder recorded by `set_base`; None if there is none."""
        with self._transaction.reading():
            return state.read_meta(self._database, "base")

    def set_base(self, base: Path) -> None:
        """Record the folder that paths of documents and roots are relative to."""
        recorded = recorded_form(base, self.path)
        if recorded != self.base():
            with self._transaction.writing():
                state.write_meta(self._database, "base", recorded)

    def chunking(self) -> str | None:
        """Return the rules recorded by `set_chunking`; None if there are none."""
        with self._transaction.reading():
            return state.read_meta(self._database, "chunking")

    def set_chunking(self, rules: str) -> None:
        """Record the rules by which documents are chunked from now on.

        All documents become OUTDATED until their next `put`, so an ingest that is interrupted, or does not reach all
        folders, leaves the rest to the next one.
        """
        with self._transaction.writing():
            self._database.execute("UPDATE documents SET size = ?", (OUTDATED,))
            state.write_meta(self._database, "chunking", rules)

    def commit(self) -> None:
        """Make all changes since the last commit durable and visible to new readers, or none of them."""
        if not self._transaction.has_changes:
            self._transaction.rollback()  # ends the transaction of a write that changed nothing
            return
        with self._transaction.committing():
            for segment in self._segments.values():
                segment.sync(self._disk)
            state.write_segments(self._database, self._segments)
            state.write_generation(self._database, state.read_generation(self._database) + 1)

    def maintain(self) -> None:
        """Keep searches fast after an ingest: compact when a quarter of the rows are deleted, build what is due.

        Raises MissingExtraError when the derived index is due and FAISS is not installed; the rest is done by then.
        """
        self.commit()
        with self._transaction.reading():
            if needs_compaction(self._database, self._segments["vectors"].rows):
                self.compact()
            rows = self._segments["vectors"].rows
            if postings_due(state.read_derived(self._database, "postings"), self.path, rows=rows):
                self.build_postings()
            if needs_merge(self._database, rows):
                with self._transaction.committing() as database:
                    merge_terms(database)
            if self._derived_index.is_due(self._rows()):
                self.build_derived()

    def compact(self) -> None:
        """Copy the live rows into new segments and remove the old ones.

        Chunk ids change; open readers keep their generation.
        """
        self.commit()
        with self._transaction.committing():
            self._segments = compact(self._database, self.path, self._segments, disk=self._disk)

    def build_derived(self) -> None:
        """Build the derived index over all rows, and record which terms are frequent.

        A million rows of 384 columns take about 15 s. Killed anywhere, the recorded index is still the old one.
        """
        self.commit()
        with self._transaction.writing():
            state.write_frequent_terms(self._database, frequent_terms(self._database))
        build = self._derived_index.build
        self._derive("vectors", lambda generation: build(self._rows(), generation=generation, disk=self._disk))

    def build_postings(self) -> None:
        """Build the file of postings. Killed anywhere, the recorded file is still the old one."""
        self.commit()
        rows = self._segments["vectors"].rows
        self._derive(
            "postings",
            lambda generation: build_postings(
                self._database, self.path, generation=generation, rows=rows, disk=self._disk
            ),
        )

    def _derive(self, source: state.Source, build: Callable[[int], DerivedFile]) -> None:
        """Build a derived file and record it in one commit. build: from the generation of that commit."""
        with self._transaction.committing():
            generation = state.read_generation(self._database) + 1
            state.write_derived(self._database, source, build(generation))
            state.write_generation(self._database, generation)
            self._database.execute("COMMIT")
            remove_unnamed(self._database, self.path, disk=self._disk)

    def close(self) -> None:
        """Discard everything that was not committed and let the next writer in."""
        close_all(self._segments)
        self._database.close()
        self._lock.release()

    def _rows(self) -> VectorRows:
        deleted, derived = state.read_deleted(self._database), state.read_derived(self._database, "vectors")
        return VectorRows(self._segments["vectors"], deleted, derived)
