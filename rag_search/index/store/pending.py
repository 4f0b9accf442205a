"""Chunks whose vectors are still to be made: texts and terms are stored, the rows of their vectors are zeros.

Readers find such a chunk by its terms only. The table is created when the first chunk is put in this way.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

ENCODED = "id NOT IN (SELECT row FROM pending)"  # condition on chunks, if the table is there
_TABLE = """CREATE TABLE IF NOT EXISTS pending (
    row INTEGER PRIMARY KEY REFERENCES chunks (id) ON UPDATE CASCADE ON DELETE CASCADE)"""


def add_pending(database: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Record chunks without vectors."""
    database.execute(_TABLE)
    database.executemany("INSERT INTO pending VALUES (?)", [(row,) for row in ids])


def remove_pending(database: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Record that chunks have their vectors."""
    database.execute("DELETE FROM pending WHERE row IN (SELECT value FROM json_each(?))", (json.dumps(list(ids)),))
