"""One writer: a row that says who may write, and that every commit looks at again.

A writer whose session the server has seen end is gone, and the next one may start at once. The time limit is for a
writer whose machine vanished without a word; it does not end while the server works for the writer, as when it builds
an index. The writer that takes over ends the former session first, so a late request of that session is not carried
out.
"""

from __future__ import annotations

import os
import platform
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from rag_search.errors import IndexLockedError, RagSearchError
from rag_search.index.postgres.connection import Connection, Place, connect, search_in
from rag_search.index.postgres.schema import namespace

LEASE_S = 600.0  # longer than embedding one group of documents takes
_SILENT_S = 5.0  # a session that has locked the lease sends its next request within milliseconds
# A session that waits for its client is "active", too: in the middle of a COPY.
_GONE = """holder = '' OR NOT EXISTS (
    SELECT FROM pg_stat_activity a WHERE a.pid = lease.pid AND a.backend_start IS NOT DISTINCT FROM lease.started
    AND (until >= clock_timestamp() OR a.state = 'active' AND a.wait_event_type IS DISTINCT FROM 'Client'))"""
# Sessions that stopped between two requests of `take`, or between `renew` and the end of their commit.
_END_SILENT = f"""SELECT pg_terminate_backend(a.pid, 5000) FROM lease, pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE ({_GONE}) AND l.relation = 'lease'::regclass AND l.mode <> 'AccessShareLock'
    AND a.pid <> pg_backend_pid() AND a.state = 'idle in transaction'
    AND a.state_change < clock_timestamp() - %s * interval '1 s'"""


@dataclass(frozen=True)
class Lease:
    """The right to write to one index."""

    place: Place
    seconds: float = LEASE_S
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)

    def take(self, connection: Connection) -> None:
        """Take the lease. Raises IndexLockedError while another writer holds it."""
        for last in (False, True):
            try:
                self._take(connection)
                return
            except psycopg.errors.LockNotAvailable as error:
                if last or not connection.execute(_END_SILENT, (_SILENT_S,)).fetchall():
                    raise self._locked("another process") from error

    def _take(self, connection: Connection) -> None:
        label = f"process {os.getpid()} on {platform.node()}"
        connection.execute("BEGIN")
        try:
            row = connection.execute(f"SELECT {_GONE}, label FROM lease FOR UPDATE NOWAIT").fetchone()
            if row is None or not row[0]:
                raise self._locked(row[1] if row else "another process")
            connection.execute(
                "SELECT pg_terminate_backend(a.pid, 5000) FROM pg_stat_activity a, lease"
                " WHERE a.pid = lease.pid AND a.backend_start = lease.started AND a.pid <> pg_backend_pid()"
            )
            connection.execute(
                "UPDATE lease SET holder = %s, label = %s, pid = pg_backend_pid(), started = (SELECT backend_start"
                " FROM pg_stat_activity WHERE pid = pg_backend_pid()), until = clock_timestamp() + %s * interval '1 s'",
                (self.holder, label, self.seconds),
            )
            connection.execute("COMMIT")
        finally:
            if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")

    def renew(self, connection: Connection) -> None:
        """Renew the lease inside the transaction that commits. Raises IndexLockedError when it was lost."""
        renewed = connection.execute(
            "UPDATE lease SET until = clock_timestamp() + %s * interval '1 s' WHERE holder = %s",
            (self.seconds, self.holder),
        )
        if renewed.rowcount != 1:
            raise self.lost()

    def was_taken(self) -> bool:
        """Return whether another writer has the lease now, as far as the server tells."""
        with suppress(RagSearchError, psycopg.Error), connect(self.place) as connection:
            search_in(connection, namespace(self.place.index))
            row = connection.execute("SELECT holder FROM lease").fetchone()
            return row is not None and row[0] != self.holder
        return False

    def release(self, connection: Connection) -> None:
        """Let the next writer in."""
        connection.execute("UPDATE lease SET holder = '', until = '-infinity' WHERE holder = %s", (self.holder,))

    def lost(self) -> IndexLockedError:
        """Return the error for a lease that another writer has taken."""
        return IndexLockedError(
            f"another process took over writing to {self.place}.",
            remedy="Let it finish, then run the command again: what was committed is kept.",
        )

    def _locked(self, label: str) -> IndexLockedError:
        minutes = f"{self.seconds / 60:.0f} minutes after its last commit"
        remedy = f"Let it finish. If its machine is gone, the lease ends {minutes}."
        return IndexLockedError(f"{label} is writing to {self.place}.", remedy=remedy)
