"""Check that an index has what was written: compare everything that is stored twice or with a checksum."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from rag_search.errors import IndexCorruptError
from rag_search.index.dense.base import in_sorted
from rag_search.index.store import state
from rag_search.index.store.database import connect, has_store, store_errors
from rag_search.index.store.derived import is_sound
from rag_search.index.store.encodings import read_encoded, row_checksums, term_counts
from rag_search.index.store.layout import REBUILD, DerivedFile, no_index
from rag_search.index.store.lock import WriterLock
from rag_search.index.store.packing import unpack
from rag_search.index.store.recovery import unnamed_files
from rag_search.index.store.rows import PLACES, passage_hash
from rag_search.index.store.segments import Segment, close_all
from rag_search.index.store.state import SOURCES
from rag_search.index.store.sums import are_tables_sound, damaged_documents

MAX_PROBLEMS = 100  # one broken disk block can damage thousands of rows
_BATCH = 1000
_MISSING = "Searches are slower until the next ragsearch ingest builds it."
_DELETE = "Delete the file; the next ragsearch ingest builds it again if it is needed."


@dataclass(frozen=True, slots=True)
class Problem:
    """One difference. place: the file or the row. what: a clause. remedy: a command, or what to do."""

    place: str
    what: str
    remedy: str = REBUILD

    def __str__(self) -> str:
        return f"{self.place}: {self.what}. {self.remedy}"


def verify(path: Path) -> list[Problem]:
    """Check the index in the folder `path` and return at most MAX_PROBLEMS problems, none when it is sound.

    It changes nothing. Raises IndexMissingError, IndexLockedError while a writer is open, FingerprintError for an
    index of another version.
    """
    try:
        with store_errors(path):
            if not has_store(path):  # before the lock, which creates a file
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
            manifest.require_current(path)
            segments = state.open_segments(database, path, manifest)
        except FileNotFoundError as error:
            yield Problem(Path(error.filename).name, "is missing")
            return
        except IndexCorruptError as error:
            yield Problem(path.name, error.message.rstrip("."))
            return
        if unreadable := list(_type_problems(database)) or list(_text_problems(database)):
            yield from unreadable  # nothing else can be compared then
            return
        yield from _count_problems(database, segments)
        yield from _document_problems(database)
        yield from _sum_problems(database)
        yield from _chunk_problems(database, segments)
        yield from _length_problems(database, segments["lengths"])
        yield from _derived_problems(database, path, segments["vectors"])
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
        yield Problem(f"meta.db {table} {row}", "refers to a missing row")
    database.execute("BEGIN IMMEDIATE")
    try:
        database.execute("INSERT INTO lexical (lexical, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        yield Problem("meta.db lexical", f"does not agree with the stored terms: {error}")
    finally:
        database.execute("ROLLBACK")


def _type_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    """Find values of another type than the column's: one flipped bit turns a number into a text or NULL."""
    for table in ("meta", "segments", "derived", "documents", "chunks", "tombstones", "document_sums"):
        columns = database.execute("SELECT name, lower(type) FROM pragma_table_info(?)", (table,)).fetchall()
        for name, kind in columns:
            (wrong,) = database.execute(f"SELECT count(*) FROM {table} WHERE typeof({name}) != ?", (kind,)).fetchone()
            if wrong:
                yield Problem(f"meta.db {table}.{name}", f"has {wrong} values that are not of type {kind}")


def _text_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    """Find chunks whose texts cannot be read."""
    for chunk_id, packed in database.execute("SELECT id, packed FROM chunks ORDER BY id"):
        try:
            unpack(packed)
        except ValueError as error:
            yield Problem(f"chunk {chunk_id}", str(error))


def _count_problems(database: sqlite3.Connection, segments: dict[str, Segment]) -> Iterator[Problem]:
    vectors = segments["vectors"]
    (both,) = database.execute("SELECT count(*) FROM chunks JOIN tombstones ON row = chunks.id").fetchone()
    if both:
        yield Problem("meta.db", f"{both} chunks are both live and deleted")
    (known,) = database.execute("SELECT (SELECT count(*) FROM chunks) + (SELECT count(*) FROM tombstones)").fetchone()
    for segment in (vectors, segments["lengths"]):
        if known != segment.rows:
            yield Problem(segment.path.name, f"has {segment.rows} rows, meta.db records {known}")


def _document_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    """Check that the chunks of a document follow each other without gap or overlap."""
    document, position, ordinal = None, 0, 0
    rows = database.execute(
        "SELECT path, ordinal, start, end, packed FROM chunks JOIN documents ON documents.id = document"
        " ORDER BY document, ordinal"
    )
    for path, number, start, end, packed in rows:
        if path != document:
            document, position, ordinal = path, 0, 0
        if (number, start, end) != (ordinal, position, position + len(unpack(packed).text)):
            yield Problem(f"{path} chunk {number}", "does not follow the chunk before it")
        position, ordinal = end, number + 1


def _sum_problems(database: sqlite3.Connection) -> Iterator[Problem]:
    """Compare what no vector depends on with its checksums."""
    if not are_tables_sound(database, state.read_generation(database)):
        yield Problem("meta.db", "its settings or its list of files are not the ones that were written")
    for path in damaged_documents(database):
        yield Problem(path, "its title, dates or line numbers are not the ones that were written")


def _chunk_problems(database: sqlite3.Connection, segments: dict[str, Segment]) -> Iterator[Problem]:
    """Check passages against their hashes, rows against their checksums, and that vectors have length 1."""
    pending = state.read_pending(database)
    cursor = database.execute(f"SELECT {PLACES}, checksum, passage_hash, packed FROM chunks ORDER BY id")
    while found := cursor.fetchmany(_BATCH):
        texts = [unpack(packed) for *_, packed in found]
        for (chunk_id, *_, digest, _), text in zip(found, texts, strict=True):
            if passage_hash(text.passage) != digest:
                yield Problem(f"chunk {chunk_id}", "its passage is not the one that was embedded")
        waiting = in_sorted(np.array([row[0] for row in found], np.int64), pending)
        try:
            encoded = read_encoded(segments, np.array([row[:4] for row in found], np.int64))
            encoded.vectors[waiting] = 0  # a killed writer may have begun to write them
        except (IndexError, IndexCorruptError) as error:
            yield Problem(f"chunks {found[0][0]} to {found[-1][0]}", f"rows are missing: {error}")
            continue
        norms = np.linalg.norm(encoded.vectors.astype(np.float64), axis=1)  # a flipped bit overflows float32
        sums = row_checksums(encoded, [text.text for text in texts])
        for row, norm, checksum, is_waiting in zip(found, norms.tolist(), sums, waiting.tolist(), strict=True):
            if checksum != row[4]:
                yield Problem(f"chunk {row[0]}", "its text or vectors are not the ones that were written")
            elif not is_waiting and not abs(norm - 1) < 1e-3:
                yield Problem(f"chunk {row[0]}", f"its vector has length {norm:.4f}")


def _length_problems(database: sqlite3.Connection, lengths: Segment) -> Iterator[Problem]:
    stored = lengths.matrix()[:, 0]
    cursor = database.execute("SELECT id, packed FROM chunks ORDER BY id")
    while found := cursor.fetchmany(_BATCH):
        counts = term_counts([unpack(packed).terms for _, packed in found])[:, 0]
        for (chunk_id, _), count in zip(found, counts.tolist(), strict=True):
            if chunk_id < len(stored) and count != stored[chunk_id]:
                yield Problem(f"chunk {chunk_id}", f"has {count} terms, {lengths.path.name} records {stored[chunk_id]}")


def _derived_problems(database: sqlite3.Connection, path: Path, vectors: Segment) -> Iterator[Problem]:
    for source in SOURCES:
        derived = state.read_derived(database, source)
        if derived is not None:
            yield from _file_problems(path, derived, vectors)


def _file_problems(path: Path, derived: DerivedFile, vectors: Segment) -> Iterator[Problem]:
    file = path / derived.name
    if not file.exists():
        yield Problem(derived.name, "is missing", _MISSING)
    elif not is_sound(file.read_bytes(), derived):
        yield Problem(derived.name, "is not the file that was written", _DELETE)
    elif derived.rows > vectors.rows:
        yield Problem(derived.name, f"covers {derived.rows} rows, there are {vectors.rows}", _DELETE)
