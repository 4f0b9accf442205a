"""meta.db: schema, connections, and SQLite's errors as errors of ragsearch."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
import string
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_search.errors import IndexCorruptError, IndexStoreError
from rag_search.index.store import sums
from rag_search.index.store.layout import DATABASE, REBUILD
from rag_search.index.store.packing import SQL_TERMS, register

MIN_SQLITE = (3, 38, 0)  # json_each without a compile-time option
_BUSY_TIMEOUT_S = 10.0

# Only whitespace separates terms: `redis-cli`, `a.b`, `c++` are one token each. The ascii tokenizer keeps every
# character above 127, so Chinese pairs stay whole; unicode61 would split and fold them by its own tables.
_TOKEN_CHARS = string.punctuation.replace("'", "''").replace('"', '""')
TOKENS = re.compile(r"[^\x00-\x20\x7f]+")  # one token of that tokenizer

SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE roots (path TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE segments (kind TEXT PRIMARY KEY, name TEXT NOT NULL, rows INTEGER NOT NULL) WITHOUT ROWID",
    # source: what the file is derived from, "vectors" or "postings"
    """CREATE TABLE derived (
        source TEXT PRIMARY KEY, name TEXT NOT NULL, rows INTEGER NOT NULL, checksum INTEGER NOT NULL)
        WITHOUT ROWID""",
    # text: only of a document without chunks; otherwise the text is that of its chunks, joined.
    """CREATE TABLE documents (
        id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, title TEXT NOT NULL, metadata TEXT NOT NULL,
        updated TEXT NOT NULL, updated_from TEXT NOT NULL, format TEXT NOT NULL, content_hash TEXT NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, text TEXT NOT NULL)""",
    # id: row of the vector. token_count: tokens before pooling. checksum: see encodings.row_checksums. packed: the
    # texts, see packing.py. It comes last: SQLite reads a row up to the last column it needs.
    """CREATE TABLE chunks (
        id INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents(id), ordinal INTEGER NOT NULL,
        start INTEGER NOT NULL, end INTEGER NOT NULL, line_start INTEGER NOT NULL, line_end INTEGER NOT NULL,
        token_start INTEGER NOT NULL, token_rows INTEGER NOT NULL, token_count INTEGER NOT NULL,
        checksum INTEGER NOT NULL, passage_hash BLOB NOT NULL, packed BLOB NOT NULL)""",
    f"CREATE VIEW chunk_terms AS SELECT id, {SQL_TERMS}(packed) AS terms FROM chunks",
    "CREATE UNIQUE INDEX chunks_of_document ON chunks (document, ordinal)",
    "CREATE INDEX chunks_by_passage ON chunks (passage_hash)",
    "CREATE TABLE tombstones (row INTEGER PRIMARY KEY)",
    f"""CREATE VIRTUAL TABLE lexical USING fts5(
        terms, content='chunk_terms', content_rowid='id', tokenize="ascii tokenchars '{_TOKEN_CHARS}'")""",
    "CREATE VIRTUAL TABLE lexical_vocab USING fts5vocab(lexical, row)",
    "CREATE VIRTUAL TABLE lexical_places USING fts5vocab(lexical, instance)",
    # No trigger for updates: only compaction changes ids, and it rebuilds the lexical index as a whole.
    f"""CREATE TRIGGER chunk_added AFTER INSERT ON chunks BEGIN
        INSERT INTO lexical (rowid, terms) VALUES (new.id, {SQL_TERMS}(new.packed)); END""",
    f"""CREATE TRIGGER chunk_removed AFTER DELETE ON chunks BEGIN
        INSERT INTO lexical (lexical, rowid, terms) VALUES ('delete', old.id, {SQL_TERMS}(old.packed));
        INSERT INTO tombstones (row) VALUES (old.id); END""",
)


def connect(folder: Path, *, writer: bool = False) -> sqlite3.Connection:
    """Open a connection without implicit transactions, for one thread at a time.

    Raises IndexStoreError when SQLite is too old or lacks FTS5, or when the newest commits are in a log that cannot
    be read here; sqlite3.Error when the file cannot be opened.
    """
    _require_sqlite()
    mode = "rwc" if writer else _frozen_mode(folder) if _is_frozen(folder) else "rw"
    database = sqlite3.connect(
        f"{(folder / DATABASE).absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        register(database)
        sums.register(database)
        pragmas = _WRITER_PRAGMAS if writer else _READER_PRAGMAS
        for pragma in pragmas:
            database.execute(f"PRAGMA {pragma}").close()
    except sqlite3.Error as error:
        database.close()
        if mode == _WITH_LOG:
            raise _log_unreadable(folder, error) from error
        raise
    return database


_WRITER_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "fullfsync = ON",
    "foreign_keys = ON",
    "cache_size = -65536",
    "journal_size_limit = 67108864",
)
_READER_PRAGMAS = ("query_only = ON", "cache_size = -16384")
_DAMAGED = (  # errors without a code of their own
    "Could not decode to UTF-8",
    "malformed JSON",
    "no such ",
    "user-defined function raised",
)
_IMMUTABLE, _WITH_LOG = "ro&immutable=1", "ro"


def _is_frozen(folder: Path) -> bool:
    """Return whether the folder is on read-only media, or may not be written by this user."""
    return not os.access(folder, os.W_OK)  # of root, too, on read-only media


def _frozen_mode(folder: Path) -> str:
    """Return the SQLite mode for a folder in which a reader cannot make the index of the write-ahead log.

    While no writer is there, nothing changes, so the database is opened as immutable, unless it was copied while the
    log held commits. A writer, of another user, makes a log and its index before it changes anything, and then a
    reader uses them: see `identity_of`.
    """
    log, shared = folder / f"{DATABASE}-wal", folder / f"{DATABASE}-shm"
    has_writer = shared.exists() and not os.statvfs(folder).f_flag & os.ST_RDONLY
    return _WITH_LOG if has_writer or (log.exists() and log.stat().st_size) else _IMMUTABLE


def _log_unreadable(folder: Path, error: sqlite3.Error) -> IndexStoreError:
    """Return the error for a read-only copy without the index of the log, which SQLite needs to read the log."""
    return IndexStoreError(
        f"{folder} is read-only, and its last commits are in {DATABASE}-wal, which cannot be read there: {error}.",
        remedy="Run ragsearch status on a copy that can be written to, and use that copy.",
    )


def is_initialised(database: sqlite3.Connection) -> bool:
    """Return whether the schema was committed; a writer killed in its first millisecond leaves an empty file."""
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is not None


def has_store(folder: Path) -> bool:
    """Return whether an index was ever committed here. Raises sqlite3.Error for a file that is not a database."""
    if not (folder / DATABASE).exists():
        return False
    database = connect(folder)
    try:
        return is_initialised(database)
    finally:
        database.close()


def identity_of(folder: Path) -> tuple[object, ...] | None:
    """Return what a rebuild of meta.db changes: its inode; None while there is no file.

    In a folder that may not be written, its time and size belong to it, and whether there is a log: a writer of
    another user would change a database that is open as immutable.
    """
    try:
        info = (folder / DATABASE).stat()
        if os.access(folder, os.W_OK):
            return (info.st_ino,)
        return (info.st_ino, info.st_mtime_ns, info.st_size, (folder / f"{DATABASE}-shm").exists())
    except (FileNotFoundError, NotADirectoryError):
        return None


def replaced(folder: Path) -> FileNotFoundError:
    """Return the error for a database that a rebuild has replaced."""
    return FileNotFoundError(errno.ENOENT, "was replaced", str(folder / DATABASE))


@contextmanager
def store_errors(folder: Path) -> Iterator[None]:
    """Raise IndexStoreError with path and remedy for failures of SQLite and of the file system."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", None)
        damaged = code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        if damaged or str(error).startswith(_DAMAGED):
            raise IndexCorruptError(f"{folder / DATABASE} is damaged: {error}.", remedy=REBUILD) from error
        remedy = _remedy(full=code == sqlite3.SQLITE_FULL)
        raise IndexStoreError(f"{folder / DATABASE}: {error}.", remedy=remedy) from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        path = error.filename or folder
        raise IndexStoreError(f"{path}: {error.strerror or error}.", remedy=_remedy(full=full)) from error


@contextmanager
def value_errors(folder: Path) -> Iterator[None]:
    """Raise IndexCorruptError for the errors that Python raises on rows that no writer has written."""
    try:
        yield
    except UnicodeEncodeError:  # the caller passed such a text
        raise
    except (IndexError, TypeError, ValueError, RecursionError) as error:
        raise IndexCorruptError(f"{folder / DATABASE} is damaged: {error}.", remedy=REBUILD) from error


@contextmanager
def reading_errors(folder: Path, identity: tuple[object, ...]) -> Iterator[None]:
    """Raise IndexStoreError or IndexCorruptError for what goes wrong in the block, which reads the store.

    A database that is open as immutable, with this `identity_of`, must not have been written to meanwhile: SQLite takes
    no locks there, and pages of several commits together can be a wrong answer without any error.
    """
    try:
        with store_errors(folder), value_errors(folder):
            yield
    finally:
        if _is_immutable(identity) and (identity_of(folder) or ())[:-1] != identity[:-1]:
            raise IndexStoreError(f"{folder} was written to while it was read.", remedy="Run the command again.")


def _is_immutable(identity: tuple[object, ...]) -> bool:
    """Return whether a reader of this identity takes no locks: no writer was there, and it may not write either."""
    return len(identity) > 1 and not identity[-1]


def _remedy(*, full: bool) -> str:
    if full:
        return "Free some space and run the command again: everything committed is kept."
    return "Check the disk and the rights of the folder, then run the command again: everything committed is kept."


def _require_sqlite() -> None:
    if sqlite3.sqlite_version_info < MIN_SQLITE:
        required = ".".join(map(str, MIN_SQLITE))
        raise IndexStoreError(
            f"SQLite {sqlite3.sqlite_version} is too old, {required} is needed.", remedy="Use a newer Python."
        )
    if not _has_fts5():
        raise IndexStoreError("this Python's SQLite has no FTS5.", remedy="Use a Python from python.org, uv or conda.")


def _has_fts5() -> bool:
    probe = sqlite3.connect(":memory:")
    try:
        return bool(probe.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone())
    finally:
        probe.close()
