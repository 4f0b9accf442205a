"""Several connections that all see one committed state of an index."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import Empty, LifoQueue

import psycopg
from psycopg import sql

from rag_search.errors import IndexCorruptError, RagSearchError
from rag_search.index.postgres import state
from rag_search.index.postgres.connection import Connection, Place, connect, database_errors, unavailable
from rag_search.index.store.layout import REBUILD

MAX_CONNECTIONS = 4
WATCH_S = 5.0  # for the question whether there is a newer state: it takes a millisecond
_OPEN_ATTEMPTS = 10
# ef_search: see benchmarks/stores.py; iterative_scan: go on until a filtered search has what it was asked for
_SEARCH_SETTINGS = ("hnsw.ef_search = 400", "hnsw.iterative_scan = relaxed_order", "jit = off")


class Snapshot:
    """One state of an index. Safe for many threads; each `connection` is for one of them."""

    def __init__(self, place: Place) -> None:
        """Open the newest state. Raises IndexMissingError, StoreUnavailableError, FingerprintError."""
        self.place = place
        self._lock = threading.Lock()
        self._idle: LifoQueue[Connection] = LifoQueue()
        self._connections: list[Connection] = []
        self._closed = False
        with database_errors(place):
            self._name, self.head = self._open()

    def _open(self) -> tuple[str, state.Head]:
        first = connect(self.place)
        self._connections.append(first)
        try:
            for _ in range(_OPEN_ATTEMPTS):
                first.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                head = state.read_head(first, self.place)
                if not head.edition:  # its first writer was killed before it had made any tables
                    raise state.no_index(self.place)
                try:
                    state.enter(first, self.place, head.edition)
                    first.execute(
                        "SELECT FROM meta, documents, chunks, vectors, postings LIMIT 0"
                    )  # no session drops them now
                except psycopg.errors.UndefinedTable:  # dropped between our look at the head and this one
                    first.execute("ROLLBACK")
                    continue
                self._prepare(first)
                row = first.execute("SELECT pg_export_snapshot()").fetchone()
                first.execute("SAVEPOINT clean")  # last: no snapshot can be exported after it
                self._idle.put(first)
                return str(row[0]) if row else "", head
        except BaseException:
            first.close()
            raise
        first.close()
        raise IndexCorruptError(f"the tables of {self.place} are missing.", remedy=REBUILD)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend a connection to one thread; wait while all of them are in use. Raises StoreUnavailableError."""
        with database_errors(self.place):
            connection = self._take()
            try:
                yield connection
            finally:
                if connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
                    connection.execute("ROLLBACK TO SAVEPOINT clean")  # the snapshot stays
                self._idle.put(connection)

    def _take(self) -> Connection:
        with self._lock:
            if self._closed:
                raise psycopg.OperationalError("the connection was closed")
            if self._idle.empty() and len(self._connections) < MAX_CONNECTIONS:
                connection = self._another()
                self._connections.append(connection)
                return connection
        try:
            return self._idle.get(timeout=self.place.answer_s)
        except Empty as error:
            raise psycopg.OperationalError("all connections are in use") from error

    def _another(self) -> Connection:
        connection = connect(self.place)
        try:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self._name)))
            state.enter(connection, self.place, self.head.edition)
            self._prepare(connection)
            connection.execute("SAVEPOINT clean")
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _prepare(connection: Connection) -> None:
        for setting in _SEARCH_SETTINGS:
            connection.execute(f"SET LOCAL {setting}")

    @property
    def is_broken(self) -> bool:
        """Whether the server has ended one of the connections."""
        return any(connection.closed for connection in self._connections)

    def close(self) -> None:
        """Wait for what other threads read, then close the connections."""
        with self._lock:
            self._closed = True
            for _ in self._connections:
                with suppress(psycopg.Error, Empty):
                    self._idle.get(timeout=self.place.answer_s).close()
            self._connections.clear()


class Watch:
    """Asks the database, over its own connection, whether a snapshot is the newest state. Safe for many threads."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._place = replace(snapshot.place, answer_s=min(WATCH_S, snapshot.place.answer_s))
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    def is_stale(self) -> bool:
        """Return whether a newer state can be opened, or the snapshot can no longer be read.

        Raises StoreUnavailableError when the database takes the question and gives no answer.
        """
        if self._snapshot.is_broken:
            return True
        with self._lock:
            start = time.monotonic()
            try:
                self._connection = self._connection or connect(self._place)
                return state.read_head(self._connection, self._place) != self._snapshot.head
            except psycopg.OperationalError as error:
                self._connection = None
                if time.monotonic() - start > self._place.answer_s * 0.9:
                    raise unavailable(self._place, error) from error
                return True  # opening a new one says what is wrong
            except (psycopg.Error, RagSearchError):
                return True

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
