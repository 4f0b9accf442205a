"""Connections to PostgreSQL: time limits, the search path, and its errors in our words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rag_search.errors import ConfigError, IndexStoreError, MissingExtraError, StoreUnavailableError, first_line
from rag_search.runtime.http import without_credentials

try:
    import psycopg
    from pgvector.psycopg import register_vector
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict
except ImportError as error:
    raise MissingExtraError(error.name or "psycopg", "postgres") from error

CONNECT_S = 5.0
LEAST_PGVECTOR = (0, 8)  # its filtered searches go on until they have enough rows
ANSWER_S = 30.0  # for one answer; building an index has no limit
_KEEPALIVE = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
# A transaction stays open while texts are encoded. The server, too, looks whether the other machine is still there.
_SETTINGS = {"idle_in_transaction_session_timeout": 0, **{f"tcp_{name}": value for name, value in _KEEPALIVE.items()}}
_LOST = "Check that the database runs and can be reached, then run the command again: what was committed is kept."
_REFUSALS = ("password", "authentication", "does not exist", "pg_hba.conf")
_REFUSED = "Correct store.url; a password is taken from ~/.pgpass or PGPASSWORD."


@dataclass(frozen=True, slots=True)
class Place:
    """A database and the name of an index in it. `url` may hold a password: show `str(place)` to people.

    vectors: address of the store that searches the vectors, None: this database. answer_s: longest wait for one answer.
    has_terms: that store searches by BM25, too.
    """

    url: str
    index: str = "default"
    vectors: str | None = None
    answer_s: float = ANSWER_S
    has_terms: bool = False

    def __str__(self) -> str:
        """Return the address without user and password."""
        return f"{without_credentials(self.url)} ({self.index})"


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which every answer must come within `answer_s` seconds; None waits for ever."""

    answer_s: float | None = None
    home: str = "public"  # the schema of pgvector

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for one answer; a connection that got none is closed, since its state is unknown."""
        try:
            return super().wait(gen, interval, timeout or self.answer_s)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()
            raise


def connect(place: Place) -> Connection:
    """Open a connection without implicit transactions.

    Raises psycopg.Error, ConfigError for an address that cannot be read, IndexStoreError without pgvector.
    """
    _check_address(place.url)
    connection = Connection.connect(
        place.url,
        autocommit=True,
        connect_timeout=max(2, round(min(CONNECT_S, place.answer_s))),
        application_name=f"ragsearch {os.getpid()}",
        **_KEEPALIVE,
    )
    connection.answer_s = place.answer_s
    try:
        for name, value in _SETTINGS.items():
            connection.execute(f"SET {name} = {value}")
        connection.home, _ = vector_extension(connection)
        search_in(connection)
        register_vector(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check_address(url: str) -> None:
    """Raise ConfigError, which does not show the address: it may hold a password."""
    try:
        ports = str(conninfo_to_dict(url).get("port") or "0").split(",")
    except psycopg.ProgrammingError:
        ports = [""]
    if not all(port.isdigit() for port in ports):
        raise ConfigError(
            "store.url is not an address of PostgreSQL.", remedy="Write it as postgresql://user@host:port/database"
        )


def search_in(connection: Connection, *namespaces: str) -> None:
    """Look for tables in these schemas, in this order, and for the types of pgvector."""
    path = sql.SQL(", ").join(map(sql.Identifier, (*namespaces, connection.home)))
    connection.execute(sql.SQL("SET search_path TO {}").format(path))


def vector_extension(connection: Connection) -> tuple[str, str]:
    """Return schema and version of pgvector, which is added to the database if that is allowed.

    Raises IndexStoreError when it is not there, or too old.
    """
    query = """SELECT nspname, extversion FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace
        WHERE extname = 'vector'"""
    row = connection.execute(query).fetchone()
    if row is None:
        try:
            connection.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        except psycopg.errors.UniqueViolation:
            pass  # another process has just added it
        except psycopg.Error as error:
            raise IndexStoreError(
                f"the database has no pgvector: {first_line(error)}.",
                remedy="Install pgvector 0.8 or later and run in the database: CREATE EXTENSION vector",
            ) from error
        row = connection.execute(query).fetchone()
    schema, version = row or ("public", "0")
    if tuple(map(int, version.split(".")[:2])) < LEAST_PGVECTOR:
        raise IndexStoreError(
            f"the database has pgvector {version}, and 0.8 is needed.",
            remedy="Install a later one and run in the database: ALTER EXTENSION vector UPDATE",
        )
    return schema, version


@contextmanager
def database_errors(place: Place) -> Iterator[None]:
    """Turn errors of psycopg into StoreUnavailableError and IndexStoreError, with the address and a remedy."""
    try:
        yield
    except psycopg.errors.DiskFull as error:
        remedy = "Free some space and run the command again: what was committed is kept."
        raise IndexStoreError(f"{place}: {first_line(error)}.", remedy=remedy) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise unavailable(place, error) from error
    except psycopg.Error as error:
        raise IndexStoreError(f"{place}: {first_line(error)}.", remedy="Run: ragsearch verify") from error


def unavailable(place: Place, error: psycopg.Error) -> StoreUnavailableError:
    """Return the error for a server that does not answer, or that refuses the user or the database."""
    reason = first_line(error).rpartition(" failed: ")[2].removeprefix("FATAL:").strip()
    if any(word in reason for word in _REFUSALS):
        return StoreUnavailableError(f"{place} refuses the connection: {reason}.", remedy=_REFUSED)
    if reason.endswith("timeout expired"):
        return StoreUnavailableError(f"{place} does not answer in time.", remedy=_LOST)
    return StoreUnavailableError(f"{place} does not answer: {reason}.", remedy=_LOST)
