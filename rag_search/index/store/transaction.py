"""The write transaction of an index, and the rule that nothing is written after a failure."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rag_search.errors import IndexStoreError
from rag_search.index.store.database import store_errors


class Transaction:
    """Guards every use that a writer makes of its connection.

    Any failed write closes it for good: after a failed fsync the contents of the disk are unknown, so writing resumes
    only from the committed state, in a new writer.
    """

    def __init__(self, database: sqlite3.Connection, path: Path) -> None:
        self._database = database
        self._path = path
        self._failed = False
        self._committed_changes = database.total_changes

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for reading."""
        self._refuse_after_failure()
        with store_errors(self._path):
            yield self._database

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for writing, in the open transaction or a new one."""
        self._refuse_after_failure()
        try:
            with store_errors(self._path):
                if not self._database.in_transaction:
                    self._database.execute("BEGIN IMMEDIATE")
                yield self._database
        except BaseException:
            self._failed = True
            self.rollback()
            raise

    @property
    def has_changes(self) -> bool:
        """Whether anything was written since the last commit."""
        return self._database.total_changes != self._committed_changes

    @contextmanager
    def committing(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection for the last writes of a transaction; the caller may commit it, else it is committed."""
        with self.writing():
            yield self._database
            if self._database.in_transaction:
                self._database.execute("COMMIT")
            self._committed_changes = self._database.total_changes

    def rollback(self) -> None:
        """Discard the open transaction."""
        try:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
        except sqlite3.Error:
            pass  # the first error is reported; closing the connection rolls back too

    def _refuse_after_failure(self) -> None:
        if self._failed:
            raise IndexStoreError(f"the last write to {self._path} failed.", remedy="Open a new writer.")
