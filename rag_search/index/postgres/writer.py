"""The one writer of an index in PostgreSQL.

    rows since the last commit -> one transaction, which also renews the lease and counts the generation

`commit` returns when the server has made everything durable; a process killed before that leaves the index as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rag_search.errors import IndexStoreError
from rag_search.index.postgres import changes, dense, rows, state
from rag_search.index.postgres.connection import Connection, Place
from rag_search.index.postgres.postings import SegmentBuilder
from rag_search.index.postgres.session import Session
from rag_search.index.postgres.vectors import VectorCopy
from rag_search.index.store.closing import Closing
from rag_search.index.store.layout import OUTDATED, FileState, IndexManifest
from rag_search.index.store.rows import check_document
from rag_search.records import Chunk, Document, Encoded

FLUSH_CHUNKS = 2000  # chunks kept in memory before they are sent
_COMPACT_SHARE = 0.25  # of postings that belong to removed chunks


class PostgresWriter(Closing):
    """Made by `opening.open_writer`; use it in a `with` block. Not for several threads.

    After a failed write the index is as of the last commit, and this object only refuses: open a new one. Leaving the
    block drops what was not committed.
    """

    def __init__(
        self, place: Place, manifest: IndexManifest, session: Session, *, vectors: VectorCopy | None = None
    ) -> None:
        self.path = place
        self.manifest = manifest
        self._session = session
        self._vectors = vectors
        self._pending: dict[str, changes.Pending] = {}
        self._waiting = 0  # chunks of `_pending`
        self._segment = SegmentBuilder()
        self._changed = False
        self._published = 0  # rows that the other store has taken since it has indexed any

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Iterate over the paths of all documents, sorted, with the state of their files."""
        with self._session.transaction() as connection:
            self._flush(connection)
            yield from rows.iterate_files(connection)

    def stored(self, passages: Sequence[str]) -> dict[str, Encoded]:
        """Return what the embedder made of those of `passages` that some document holds: one row each."""
        with self._session.transaction() as connection:
            self._flush(connection)
            return rows.load_encoded(connection, passages, self.manifest.token_bytes)

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
        self._session.refuse_after_failure()
        check_document(document, chunks, encoded, terms, manifest=self.manifest)
        changes.check_path(document.path)
        former = self._pending.pop(document.path, None)
        self._pending[document.path] = changes.Pending(document, tuple(chunks), encoded, tuple(terms), state)
        self._waiting += len(chunks) - (len(former.chunks) if former else 0)
        if self._waiting >= FLUSH_CHUNKS:
            with self._session.transaction() as connection:
                self._flush(connection)

    def touch(self, path: str, state: FileState) -> None:
        """Record that a file's size or mtime changed and its content did not."""
        with self._changing() as connection:
            connection.execute(
                "UPDATE documents SET size = %s, mtime_ns = %s, content_hash = %s WHERE path_hash = %s",
                (state.size, state.mtime_ns, state.content_hash, rows.path_hash(path)),
            )

    def remove(self, paths: Iterable[str]) -> None:
        """Remove documents; a path that is not there is not an error."""
        with self._session.transaction() as connection:
            self._flush(connection)
            self._removed(changes.delete_documents(connection, list(paths), self._segment))

    def roots(self) -> list[str]:
        """Return the folders that this index is kept equal to."""
        with self._session.transaction() as connection:
            return state.read_roots(connection)

    def set_roots(self, roots: Iterable[str]) -> None:
        """Set the folders that this index is kept equal to."""
        wanted = sorted(set(roots))
        if wanted != self.roots():
            with self._changing() as connection:
                state.write_roots(connection, wanted)

    def base(self) -> str | None:
        """Return what `set_base` recorded, None if no writer has."""
        with self._session.transaction() as connection:
            return state.read_meta(connection, "base")

    def set_base(self, base: Path) -> None:
        """Record the folder that paths of documents and roots are relative to."""
        if str(base) != self.base():
            with self._changing() as connection:
                state.write_meta(connection, "base", str(base))

    def chunking(self) -> str | None:
        """Return the rules of `set_chunking`, None if no writer has set any."""
        with self._session.transaction() as connection:
            return state.read_meta(connection, "chunking")

    def set_chunking(self, rules: str) -> None:
        """Record the rules by which documents are cut; all documents become OUTDATED until their next `put`.

        So an ingest that is interrupted, or does not reach all folders, leaves the rest to the next one.
        """
        with self._changing() as connection:
            connection.execute("UPDATE documents SET size = %s", (OUTDATED,))
            state.write_meta(connection, "chunking", rules)

    def commit(self) -> None:
        """Make everything since the last commit durable and visible to new readers, or nothing of it."""
        with self._session.transaction() as connection:
            self._flush(connection)
            if not self._changed:
                connection.execute("ROLLBACK")
                return
            self._segment.write(connection)
            changes.add_totals(connection, terms=self._segment.terms)
            if self._vectors:
                self._published += self._vectors.publish(connection)
                self._vectors.purge(connection)
            self._session.lease.renew(connection)
            state.count_generation(connection)
            connection.execute("COMMIT")
            self._segment, self._changed = SegmentBuilder(), False

    def maintain(self, *, exact_rows: int = dense.EXACT_ROWS) -> None:
        """Do what keeps searches fast; call it after an ingest.

        It drops the postings of removed chunks when they are many, builds the approximate index when there are more
        than `exact_rows` vectors, and renews the planner's statistics.
        """
        self.commit()
        with self._session.transaction() as connection:
            totals = state.read_totals(connection)
            if totals.removed > _COMPACT_SHARE * (totals.chunks + totals.removed):
                self.compact()
            due = not self._vectors and totals.chunks > exact_rows and self.manifest.dim <= dense.MAX_HNSW_DIM
            if due and not dense.has_hnsw(connection):
                self.build_index()
        self._settle_vectors()
        with self._session.patiently() as connection:
            connection.execute("ANALYZE documents, chunks, vectors, postings")
            connection.execute("COMMIT")

    def _settle_vectors(self) -> None:
        """Renew the weights of terms beside the database when they are due, and have many new rows indexed there."""
        if not self._vectors:
            return
        with self._session.transaction() as connection:
            if self._vectors.reweigh(connection):
                self._changed = True
                self.commit()
        if self._published >= FLUSH_CHUNKS:
            self._published = 0
            with suppress(IndexStoreError):  # everything is committed; the server does it later by itself
                self._vectors.store.flush()

    def compact(self) -> None:
        """Write the postings anew, without those of removed chunks. Chunk ids stay as they are."""
        self.commit()
        with self._session.patiently() as connection:
            connection.execute("DELETE FROM postings")
            connection.execute("DELETE FROM segments")
            for segment in changes.segments_of_all(connection):
                segment.write(connection)
            connection.execute("UPDATE totals SET removed = 0")
            self._changed = True
            self.commit()

    def build_index(self) -> None:
        """Build the approximate index over all vectors."""
        self.commit()
        with self._session.patiently() as connection:
            dense.build_hnsw(connection)
            self._changed = True
            self.commit()

    def close(self) -> None:
        """Drop what was not committed and let the next writer in."""
        self._session.close()
        if self._vectors:
            self._vectors.store.close()

    def _flush(self, connection: Connection) -> None:
        """Send the documents that `put` was given, inside the open transaction."""
        if self._pending:
            pending, self._pending, self._waiting = list(self._pending.values()), {}, 0
            self._removed(changes.replace_documents(connection, pending, self._segment))
            self._changed = True

    def _removed(self, removed: changes.Removed) -> None:
        """Note what went, inside the open transaction."""
        self._changed |= removed.documents > 0
        if self._vectors and removed.chunks:
            self._vectors.bury(self._session.connection, removed.chunks)

    @contextmanager
    def _changing(self) -> Iterator[Connection]:
        with self._session.transaction() as connection:
            self._flush(connection)
            yield connection
            self._changed = True
