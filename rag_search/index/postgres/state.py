"""What the database says about an index as a whole: edition, generation, manifest, totals, notes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Literal

import psycopg
from psycopg import sql

from rag_search.errors import FingerprintError, IndexCorruptError, IndexMissingError
from rag_search.index.postgres.connection import Connection, Place, search_in
from rag_search.index.postgres.schema import EDITION_TABLES, FORMAT, INDEX_TABLES, edition_namespace, namespace
from rag_search.index.store.layout import REBUILD, IndexManifest

MetaKey = Literal["manifest", "base", "chunking", "vectors", "mean"]


@dataclass(frozen=True, slots=True)
class Head:
    """What a commit changes last: edition and generation tell two states of an index apart.

    age_s: seconds since the commit, when the head was read.
    """

    edition: int
    generation: int
    age_s: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Totals:
    """Numbers over all chunks. terms: all together. removed: chunks whose postings are still there."""

    documents: int
    chunks: int
    terms: int
    removed: int


def has_index(connection: Connection, place: Place) -> bool:
    """Return whether the database holds this index."""
    query = "SELECT FROM pg_tables WHERE schemaname = %s AND tablename = 'head'"
    return connection.execute(query, (namespace(place.index),)).fetchone() is not None


def no_index(place: Place) -> IndexMissingError:
    """Return the error for a database without this index."""
    return IndexMissingError(f"there is no index at {place}.", remedy="Run: ragsearch ingest PATH")


def read_head(connection: Connection, place: Place) -> Head:
    """Return the newest head. Raises IndexMissingError, and FingerprintError for tables of another version."""
    query = sql.SQL(
        "SELECT format, edition, generation, extract(epoch FROM clock_timestamp() - committed)::float8 FROM {}"
    ).format(sql.Identifier(namespace(place.index), "head"))
    try:
        row = connection.execute(query).fetchone()
    except psycopg.errors.UndefinedTable:
        row = None
    if row is None:
        raise no_index(place)
    if row[0] != FORMAT:
        raise FingerprintError(f"{place} has tables of format {row[0]}, not {FORMAT}.", remedy="Use its own version.")
    return Head(row[1], row[2], row[3])


def enter(connection: Connection, place: Place, edition: int) -> None:
    """Look for tables in an edition of the index."""
    search_in(connection, edition_namespace(place.index, edition), namespace(place.index))


def create_index(connection: Connection, place: Place) -> None:
    """Make the tables of a new index, without any edition; nothing when they are there."""
    name = namespace(place.index)
    connection.execute("BEGIN")
    connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", (name,))
    if not has_index(connection, place):
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
        search_in(connection, name)
        for statement in INDEX_TABLES:
            connection.execute(statement)
        connection.execute("INSERT INTO head (format, edition, generation) VALUES (%s, 0, 0)", (FORMAT,))
    connection.execute("COMMIT")


def start_edition(connection: Connection, place: Place, manifest: IndexManifest, *, after: Head) -> Head:
    """Make an empty edition inside the open transaction and point the head to it."""
    edition = after.edition + 1
    name = edition_namespace(place.index, edition)
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    enter(connection, place, edition)
    for statement in EDITION_TABLES:
        connection.execute(statement.replace("{dim}", str(manifest.dim)))
    write_meta(connection, "manifest", json.dumps(asdict(manifest)))
    connection.execute("UPDATE head SET edition = %s, generation = generation + 1", (edition,))
    return Head(edition, after.generation + 1)


def count_generation(connection: Connection) -> None:
    """Make the next generation of what the open transaction has written."""
    connection.execute(
        "UPDATE head SET generation = generation + 1, committed = clock_timestamp(),"
        " swept = (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM chunk_ids)"
    )


def former_editions(connection: Connection, place: Place, current: int) -> list[str]:
    """Return the schemas of editions that no new reader opens."""
    prefix = f"{namespace(place.index)}."
    rows = connection.execute("SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (prefix,)).fetchall()
    return sorted(name for (name,) in rows if name != f"{prefix}{current}")


def read_manifest(connection: Connection, place: Place) -> IndexManifest:
    """Return the manifest. Raises IndexCorruptError when it is not one of ours."""
    try:
        return IndexManifest(**json.loads(read_meta(connection, "manifest") or ""))
    except (TypeError, ValueError) as error:
        raise IndexCorruptError(f"the manifest of {place} cannot be read: {error}.", remedy=REBUILD) from error


def read_meta(connection: Connection, key: MetaKey) -> str | None:
    """Return an entry of `meta`; None if no writer has set it."""
    row = connection.execute("SELECT value FROM meta WHERE key = %s", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_meta(connection: Connection, key: MetaKey, value: str) -> None:
    """Set an entry of `meta`."""
    connection.execute(
        "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
    )


def read_roots(connection: Connection) -> list[str]:
    """Return the folders that the index is kept equal to, sorted."""
    return [root for (root,) in connection.execute("SELECT path FROM roots ORDER BY path")]


def write_roots(connection: Connection, roots: Iterable[str]) -> None:
    """Set the folders that the index is kept equal to."""
    connection.execute("DELETE FROM roots")
    connection.execute("INSERT INTO roots SELECT unnest(%s::text[])", (sorted(set(roots)),))


def read_totals(connection: Connection) -> Totals:
    """Return the numbers over all chunks."""
    row = connection.execute("SELECT documents, chunks, terms, removed FROM totals").fetchone()
    assert row is not None
    return Totals(*row)


def bytes_of(connection: Connection, place: Place, edition: int) -> int:
    """Return the bytes that the tables and their indexes take in the database."""
    query = """SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n
        ON n.oid = relnamespace WHERE relkind = 'r' AND nspname = ANY(%s)"""
    names = [namespace(place.index), edition_namespace(place.index, edition)]
    row = connection.execute(query, (names,)).fetchone()
    return int(row[0]) if row else 0
