"""Open an index in PostgreSQL for reading or writing, and drop what no reader uses any more."""

from __future__ import annotations

from contextlib import closing, suppress

import psycopg
from psycopg import sql

from rag_search.index.postgres import sparse, state
from rag_search.index.postgres.connection import Connection, Place, connect, database_errors, vector_extension
from rag_search.index.postgres.lease import LEASE_S, Lease
from rag_search.index.postgres.reader import PostgresReader
from rag_search.index.postgres.session import Session
from rag_search.index.postgres.snapshot import Snapshot
from rag_search.index.postgres.vectors import VectorCopy, VectorStore, name_of, open_vectors, require_recorded
from rag_search.index.postgres.writer import PostgresWriter
from rag_search.index.store.layout import IndexManifest

_DROP_WAIT = "200ms"


def open_reader(place: Place, *, vectors: VectorStore | None = None) -> PostgresReader:
    """Open the newest generation.

    vectors: searches the vectors, None: what the place names. Raises IndexMissingError, StoreUnavailableError,
    IndexStoreError, and ConfigError when the place names another store of vectors than the index has.
    """
    snapshot = Snapshot(place)
    try:
        with snapshot.connection() as connection:
            require_recorded(connection, place)
        return PostgresReader(snapshot, vectors or open_vectors(place, snapshot.head.edition))
    except BaseException:
        snapshot.close()
        raise


def describe_servers(place: Place) -> str:
    """Return the names and versions of the servers. Raises StoreUnavailableError, IndexStoreError, ConfigError."""
    with database_errors(place), connect(place) as connection:
        names = [f"PostgreSQL {connection.info.parameter_status('server_version')}"]
        names.append(f"pgvector {vector_extension(connection)[1]}")
    if vectors := open_vectors(place, 0):
        with closing(vectors):
            names.append(vectors.version())
    return ", ".join(names)


def open_writer(
    place: Place,
    manifest: IndexManifest,
    *,
    rebuild: bool = False,
    lease_s: float = LEASE_S,
    vectors: VectorStore | None = None,
) -> PostgresWriter:
    """Open an index for writing, or make an empty one.

    rebuild: start an empty edition; its readers see it at once. vectors: as in `open_reader`. Raises IndexLockedError
    while another writer has the lease, FingerprintError when the index was made with another manifest, ConfigError,
    StoreUnavailableError, IndexStoreError.
    """
    lease = Lease(place, lease_s)
    with database_errors(place):
        connection = connect(place)
        try:
            if not state.has_index(connection, place):
                state.create_index(connection, place)
            head = state.read_head(connection, place)
            state.enter(connection, place, head.edition)
            lease.take(connection)
            head = state.read_head(connection, place)  # no other session changes it any more
            if rebuild or not head.edition:
                head = _start(connection, place, manifest, lease, after=head, vectors=vectors)
            state.enter(connection, place, head.edition)
            state.read_manifest(connection, place).require_match(manifest, path=place)
            require_recorded(connection, place)
            copy = _vector_copy(connection, place, vectors or open_vectors(place, head.edition), manifest.dim)
            _drop_former(connection, place, head.edition)
            return PostgresWriter(place, manifest, Session(connection, lease), vectors=copy)
        except BaseException:
            with suppress(psycopg.Error):
                if not connection.closed:
                    connection.execute("ROLLBACK")
                    lease.release(connection)
            connection.close()
            raise


def _vector_copy(connection: Connection, place: Place, store: VectorStore | None, dim: int) -> VectorCopy | None:
    """Prepare the store of the vectors for a writer."""
    if store is None:
        return None
    store.create(dim)
    copy = VectorCopy(store, has_terms=place.has_terms)
    copy.sweep(connection)
    return copy


def _start(
    connection: Connection,
    place: Place,
    manifest: IndexManifest,
    lease: Lease,
    *,
    after: state.Head,
    vectors: VectorStore | None,
) -> state.Head:
    """Start an edition with the roots of the former one. Readers see it from the commit on."""
    roots: list[str] = []
    base = None
    if after.edition:
        state.enter(connection, place, after.edition)
        roots, base = state.read_roots(connection), state.read_meta(connection, "base")
    connection.execute("BEGIN")
    head = state.start_edition(connection, place, manifest, after=after)
    state.write_meta(connection, "vectors", name_of(place))
    if place.has_terms:
        connection.execute(sparse.TABLE)
    state.write_roots(connection, roots)
    if base is not None:
        state.write_meta(connection, "base", base)
    if store := vectors or open_vectors(place, head.edition):
        with closing(store):
            store.drop()  # what a writer left that was killed here
            store.create(manifest.dim)
    lease.renew(connection)
    connection.execute("COMMIT")
    return head


def _drop_former(connection: Connection, place: Place, edition: int) -> None:
    """Drop editions that no reader uses any more."""
    for name in state.former_editions(connection, place, edition):
        with suppress(psycopg.errors.LockNotAvailable):
            connection.execute("BEGIN")
            try:
                connection.execute(f"SET LOCAL lock_timeout = '{_DROP_WAIT}'")
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
            except psycopg.Error:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
            if former := open_vectors(place, int(name.rpartition(".")[2])):
                former.drop()
                former.close()
