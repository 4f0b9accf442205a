"""Checksums of the columns that `encodings.row_checksums` leaves out, and of the small tables of meta.db.

Those of documents are in a table of their own, which the first document creates: an older index has none, and is not
compared. A checksum of a document is of its title, dates, hash and other columns; `places` of where its chunks begin
and end. Size and mtime are left out: a wrong one has the file read again, and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence

SQL_SUM = "row_sum"  # the SQL function that hashes values; see `register`
_TABLE = """CREATE TABLE IF NOT EXISTS document_sums (
    document INTEGER PRIMARY KEY REFERENCES documents (id) ON DELETE CASCADE,
    checksum INTEGER NOT NULL, places INTEGER NOT NULL)"""
_CHECKSUM = f"{SQL_SUM}(path, title, metadata, updated, updated_from, format, content_hash, documents.text)"
_PLACES = f"""(SELECT coalesce(sum({SQL_SUM}(ordinal, start, end, line_start, line_end)), 0)
    FROM chunks WHERE chunks.document = documents.id)"""
_JOINED = "documents JOIN document_sums ON document_sums.document = documents.id"
_ROWS = (  # what describes the index as a whole
    "SELECT key, value FROM meta WHERE key NOT IN ('generation', 'sum') ORDER BY key",
    "SELECT path FROM roots ORDER BY path",
    "SELECT kind, name, rows FROM segments ORDER BY kind",
    "SELECT source, name, rows, checksum FROM derived ORDER BY source",
    "SELECT name, sql FROM sqlite_master ORDER BY type, name",
)


def register(database: sqlite3.Connection) -> None:
    """Make the checksum of values available in SQL."""
    database.create_function(SQL_SUM, -1, _sum, deterministic=True)


def write_document_sum(database: sqlite3.Connection, document: int) -> None:
    """Record the checksums of a document and of the places of its chunks. document: its id."""
    database.execute(_TABLE)
    database.execute(
        f"INSERT OR REPLACE INTO document_sums SELECT id, {_CHECKSUM}, {_PLACES} FROM documents WHERE id = ?",
        (document,),
    )


def damaged_documents(database: sqlite3.Connection) -> Iterator[str]:
    """Yield the paths of documents that are not as they were written, or whose chunks are elsewhere."""
    if _has_table(database):
        found = f"SELECT path FROM {_JOINED} WHERE checksum != {_CHECKSUM} OR places != {_PLACES} ORDER BY path"
        yield from (path for (path,) in database.execute(found))


def damaged_document_of(database: sqlite3.Connection, chunk_ids: Sequence[int]) -> str | None:
    """Return the path of a document that is not as it was written, of those of chunks; None if all are."""
    if not _has_table(database):
        return None
    ids = json.dumps(list(map(int, chunk_ids)))
    documents = "SELECT document FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
    row = database.execute(
        f"SELECT path FROM {_JOINED} WHERE documents.id IN ({documents}) AND checksum != {_CHECKSUM}", (ids,)
    ).fetchone()
    return None if row is None else str(row[0])


def write_tables_sum(database: sqlite3.Connection, generation: int) -> None:
    """Record the checksum of the small tables and of the schema, as they are at the end of a transaction."""
    recorded = f"{generation} {_tables_sum(database)}"
    database.execute("INSERT OR REPLACE INTO meta VALUES ('sum', ?)", (recorded,))


def are_tables_sound(database: sqlite3.Connection, generation: int) -> bool:
    """Return whether the small tables are those of the generation; also where an older program has written it."""
    row = database.execute("SELECT value FROM meta WHERE key = 'sum'").fetchone()
    if row is None or not str(row[0]).startswith(f"{generation} "):
        return True
    return bool(row[0] == f"{generation} {_tables_sum(database)}")


def _tables_sum(database: sqlite3.Connection) -> int:
    return _sum(*(database.execute(query).fetchall() for query in _ROWS))


def _sum(*values: object) -> int:
    return zlib.crc32(repr(values).encode("utf-8", "surrogatepass"))


def _has_table(database: sqlite3.Connection) -> bool:
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'document_sums'").fetchone() is not None
