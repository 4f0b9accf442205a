"""The connection of a writer: its transactions, its lease, and its end after a failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg.pq import TransactionStatus

from rag_search.errors import IndexStoreError, StoreUnavailableError
from rag_search.index.postgres.connection import Connection, database_errors
from rag_search.index.postgres.lease import Lease


class Session:
    """A connection that holds the lease of an index."""

    def __init__(self, connection: Connection, lease: Lease) -> None:
        self.connection = connection
        self.lease = lease
        self._failed = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Enter the open transaction, or a new one.

        Any failure closes this session for good: what the server has done of a request that failed is unknown, so
        writing resumes only from the committed state.
        """
        self.refuse_after_failure()
        try:
            with database_errors(self.lease.place):
                if self.connection.info.transaction_status == TransactionStatus.IDLE:
                    self.connection.execute("BEGIN")
                yield self.connection
        except GeneratorExit:
            raise
        except BaseException as error:
            self._failed = True
            with suppress(psycopg.Error):
                self._rollback()
            if isinstance(error, StoreUnavailableError) and self.lease.was_taken():
                raise self.lease.lost() from error
            raise

    @contextmanager
    def patiently(self) -> Iterator[Connection]:
        """Enter a transaction whose statements may take any time."""
        with self.transaction() as connection:
            connection.answer_s = None
            try:
                yield connection
            finally:
                connection.answer_s = self.lease.place.answer_s

    def refuse_after_failure(self) -> None:
        """Raise IndexStoreError once a write has failed."""
        if self._failed:
            raise IndexStoreError(f"the last write to {self.lease.place} failed.", remedy="Open a new writer.")

    def close(self) -> None:
        """Drop what was not committed and let the next writer in."""
        with suppress(psycopg.Error):
            self._rollback()
            self.lease.release(self.connection)
        self.connection.close()

    def _rollback(self) -> None:
        if not self.connection.closed and self.connection.info.transaction_status != TransactionStatus.IDLE:
            self.connection.execute("ROLLBACK")
