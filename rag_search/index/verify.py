"""Does the index hold what was once stored? Everything that is kept twice, or with a checksum, is compared."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rag_search.errors import IndexCorruptError
from rag_search.index.store import state
from rag_search.index.store.database import connect, has_store, store_errors
from rag_search.index.store.encodings import read_encoded, row_checksums, term_counts
from rag_search.index.store.layout import REBUILD, no_index
from rag_search.index.store.lock import WriterLock
from rag_search.index.store.recovery import unnamed_files
from rag_search.index.store.rows import passage_hash
from rag_search.index.store.segments import Segment, close_all
from rag_search.index.store.state import is_sound
from rag_search.index.store.upgrade import require_current

MAX_PROBLEMS = 100  # one broken disk block can spoil thousands of rows; nobody reads more
_BATCH = 1000
_DELETE = "Delete the file; the next ragsearch ingest makes it again if it is needed."


@dataclass(frozen=True, slots=True)
class Problem:
    """place: the file or the row. what: one clause. remedy: a command, or what to do."""

    place: str
    what: str
    remedy: str = REBUILD

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.remedy}"


def verify(path: Path) -> list[Problem]:
    """Check the index in the folder `path`; at most MAX_PROBLEMS of what is wrong, an empty list when it is sound.

    Changes nothing. Raises IndexMissingError, IndexLockedError while a writer is at work, and FingerprintError for an
    index of another version.
    """
    try:
        with store_errors(path):
            if not has_store(path):  # before the lock, which makes a file
                raise no_index(path)
            lock = WriterLock(path)
            try:
                return list(islice(_problems(path), MAX_PROBLEMS))
            finally:
                lock.release()
    except IndexCorruptError as error:
        return [Problem("meta.db", error.message.rstrip("."))]


def _problems(path: Path) -> Iterator[Problem]:
    database = connect(path, writer=True)  # the check of FTS5 is an INSERT; it is rolled back
    segments: dict[str, Segment] = {}
    try:
        yield from _database_problems(database)
        try:
            manifest = state.read_manifest(database)
            require_current(manifest, path)
            segments = state.open_segments(database, path, manifest)
        except FileNotFoundError as error:
            yield Problem(Path(error.filename).name, "is missing")
            return
        except IndexCorruptError as error:
            yield Problem(path.name, error.message.rstrip("."))
            return
        if of_other_types := list(_type_problems(database)):  # nothing else can be compared then
            yield from of_other_types
            return
        yield from _count_problems(database, segments)
        yield from _document_problems(database)
        yield from _chunk_problems(database, segments)
        yield from _length_problems(database, segments["lengths"])
        yield from _cache_problems(database, path, segments["vectors"])
        for file in unnamed_files(database, path):
            yield Problem(file.name, "belongs to no generation", "Harmless: the next ragsearch ingest removes it.")
    finally:
        close_all(segments)
        database.close()


def _database_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    for (message,) in database.execute("PRAGMA integrity_check"):
        if message != "ok":
            yield Problem("meta.db", message)
    for table, row, *_ in database.execute("PRAGMA foreign_key_check"):
        yield Problem(f"meta.db {table} {row}", "refers to a row that is not there")
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute("INSERT INTO lexical (lexical, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        yield Problem("meta.db lexical", f"does not agree with the stored terms: {error}")
    finally:
        database.execute("ROLLBACK")


def _type_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    """Values of another type than the column's: one flipped bit turns a number into a text, or into nothing."""
    for table in ("meta", "segments", "ann", "documents", "chunks", "tombstones"):
        columns = database.execute("SELECT name, lower(type) FROM pragma_table_info(?)", (table,)).fetchall()
        for name, kind in columns:
            (wrong,) = database.execute(f"SELECT count(*) FROM {table} WHERE typeof({name}) != ?", (kind,)).fetchone()
            if wrong:
                yield Problem(f"meta.db {table}.{name}", f"holds {wrong} values that are no {kind}")


def _count_problems(database: sqlite3.Connection, segments: dict[str, Segment]) -> Iterator[Problem]:
    vectors = segments["vectors"]
    (both,) = database.execute("SELECT count(*) FROM chunks JOIN tombstones ON row = chunks.id").fetchone()
    if both:
        yield Problem("meta.db", f"{both} chunks are both living and dead")
    (known,) = database.execute("SELECT (SELECT count(*) FROM chunks) + (SELECT count(*) FROM tombstones)").fetchone()
    for segment in (vectors, segments["lengths"]):
        if known != segment.rows:
            yield Problem(segment.path.name, f"has {segment.rows} rows, meta.db knows {known}")


def _document_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    """The chunks of a document follow each other without gap or overlap."""
    document, position, ordinal = None, 0, 0
    rows = database.execute(
        "SELECT path, ordinal, start, end, chunks.text FROM chunks JOIN documents ON documents.id = document"
        " ORDER BY document, ordinal"
    )
    for path, number, start, end, text in rows:
        if path != document:
            document, position, ordinal = path, 0, 0
        if (number, start, end) != (ordinal, position, position + len(text)):
            yield Problem(f"{path} chunk {number}", "does not follow the chunk before it")
        position, ordinal = end, number + 1


def _chunk_problems(database: sqlite3.Connection, segments: dict[str, Segment]) -> Iterator[Problem]:
    """Passages agree with their hashes, rows with their checksums, and vectors have length 1."""
    cursor = database.execute(
        "SELECT id, token_start, token_rows, checksum, passage_hash, text, passage FROM chunks ORDER BY id"
    )
    while found := cursor.fetchmany(_BATCH):
        for chunk_id, *_, digest, _, passage in found:
            if passage_hash(passage) != digest:
                yield Problem(f"chunk {chunk_id}", "its passage is not the one that was embedded")
        try:
            encoded = read_encoded(segments, np.array([row[:3] for row in found], np.int64))
        except (IndexError, IndexCorruptError) as error:
            yield Problem(f"chunks {found[0][0]} to {found[-1][0]}", f"rows that are not there: {error}")
            continue
        norms = np.linalg.norm(encoded.vectors.astype(np.float64), axis=1)  # a flipped bit overflows float32
        for row, norm, checksum in zip(
            found, norms.tolist(), row_checksums(encoded, [row[5] for row in found]), strict=True
        ):
            if checksum != row[3]:
                yield Problem(f"chunk {row[0]}", "its text or vectors are not the ones that were written")
            elif not abs(norm - 1) < 1e-3:
                yield Problem(f"chunk {row[0]}", f"its vector has length {norm:.4f}")


def _length_problems(database: sqlite3.Connection, lengths: Segment) -> Iterator[Problem]:
    stored = lengths.matrix()[:, 0]
    cursor = database.execute("SELECT id, terms FROM chunks ORDER BY id")
    while found := cursor.fetchmany(_BATCH):
        counts = term_counts([terms for _, terms in found])[:, 0]
        for (chunk_id, _), count in zip(found, counts.tolist(), strict=True):
            if chunk_id < len(stored) and count != stored[chunk_id]:
                yield Problem(f"chunk {chunk_id}", f"has {count} terms, {lengths.path.name} says {stored[chunk_id]}")


def _cache_problems(database: sqlite3.Connection, path: Path, vectors: Segment) -> Iterator[Problem]:
    ann = state.read_ann(database)
    if ann is None:
        return
    file = path / ann.name
    if not file.exists():
        yield Problem(ann.name, "is missing", "Searches are exact and slower until the next ragsearch ingest makes it.")
    elif not is_sound(file.read_bytes(), ann):
        yield Problem(ann.name, "is not the file that was written", _DELETE)
    elif ann.rows > vectors.rows:
        yield Problem(ann.name, f"covers {ann.rows} rows, there are {vectors.rows}", _DELETE)
