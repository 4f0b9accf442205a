"""The part of a writer that stores documents before their vectors: words first, meaning later."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from rag_search.index.store import state
from rag_search.index.store.disk import Disk
from rag_search.index.store.encodings import row_checksums
from rag_search.index.store.packing import unpack
from rag_search.index.store.pending import remove_pending
from rag_search.index.store.rows import json_list, require_unit
from rag_search.index.store.segments import Segment
from rag_search.index.store.transaction import Transaction
from rag_search.records import Encoded


class _Writer(Protocol):
    _database: sqlite3.Connection
    _segments: dict[str, Segment]
    _transaction: Transaction
    _disk: Disk


class StagedWrites:
    """Mixed into a writer, whose `put` takes the places of chunks without vectors."""

    def pending_count(self: _Writer) -> int:
        """Return the number of chunks without vectors."""
        with self._transaction.reading():
            return len(state.read_pending(self._database))

    def pending(self: _Writer, limit: int) -> list[tuple[int, str]]:
        """Return ids and passages of the first chunks without vectors, at most `limit`."""
        with self._transaction.reading():
            if not state.has_pending_table(self._database):
                return []
            rows = self._database.execute(
                "SELECT id, packed FROM pending JOIN chunks ON id = row ORDER BY row LIMIT ?", (limit,)
            ).fetchall()
            return [(chunk_id, unpack(packed).passage) for chunk_id, packed in rows]

    def complete(self: _Writer, ids: Sequence[int], encoded: Encoded) -> None:
        """Store the vectors of chunks that have none, one row of `encoded` each; durable after `commit`.

        A process killed before that leaves them without vectors. Raises ValueError for vectors that are not unit.
        """
        require_unit(encoded.vectors, "the chunks")
        tokens = encoded.tokens
        with self._transaction.writing() as database:
            self._segments["vectors"].overwrite(ids, encoded.vectors, self._disk)
            first = 0 if tokens is None else self._segments["tokens"].append(tokens.rows, self._disk)
            lengths = [0] * len(ids) if tokens is None else tokens.lengths.tolist()
            counts = lengths if tokens is None else tokens.token_counts.tolist()
            starts = [first, *(first + np.cumsum(lengths, dtype=np.int64)).tolist()]
            sums = row_checksums(encoded, _texts(database, ids))
            database.executemany(
                "UPDATE chunks SET token_start = ?, token_rows = ?, token_count = ?, checksum = ? WHERE id = ?",
                list(zip(starts, lengths, counts, sums, ids, strict=False)),
            )
            remove_pending(database, ids)
            # a structure that was built over the zeros does not find these rows
            database.execute("DELETE FROM derived WHERE source = 'vectors' AND rows > ?", (min(ids, default=0),))


def _texts(database: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    rows = database.execute(
        "SELECT id, packed FROM chunks WHERE id IN (SELECT value FROM json_each(?))", (json_list(ids),)
    )
    texts = {chunk_id: unpack(packed).text for chunk_id, packed in rows}
    return [texts[chunk_id] for chunk_id in ids]
