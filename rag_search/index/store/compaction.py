"""Giving back the rows of removed chunks: new segments, one transaction, then the old files go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.index.store import state
from rag_search.index.store.disk import Disk
from rag_search.index.store.layout import file_number
from rag_search.index.store.recovery import remove_unnamed
from rag_search.index.store.segments import Segment, close_all

DEAD_SHARE = 0.25
_COPY_BYTES = 16 * 2**20


def needs_compaction(database: sqlite3.Connection, rows: int) -> bool:
    """Whether a quarter of the `rows` are dead."""
    (dead,) = database.execute("SELECT count(*) FROM tombstones").fetchone()
    return bool(dead > 0 and dead >= DEAD_SHARE * rows)


def compact(database: sqlite3.Connection, folder: Path, old: dict[str, Segment], *, disk: Disk) -> dict[str, Segment]:
    """Rewrite the store without its dead rows, in the transaction that is open, and commit it. The new segments.

    Readers that have the old files open go on reading them: the names go, the files stay until the last one closes.
    """
    places = _places(database)
    new: dict[str, Segment] = {}
    try:
        for kind, segment in old.items():
            number = file_number(segment.path.name) + 1
            new[kind] = Segment.create(folder, kind, segment.columns, number=number, disk=disk)
            _copy(segment, new[kind], places[kind], disk)
        disk.sync_folder(folder)
        _renumber(database, places)
        state.write_segments(database, new)
        state.write_ann(database, None)
        state.write_frequent_terms(database, {})
        state.write_generation(database, state.read_generation(database) + 1)
        database.execute("COMMIT")
    except BaseException:
        close_all(new)
        raise
    close_all(old)
    remove_unnamed(database, folder, disk=disk)
    return new


def _places(database: sqlite3.Connection) -> dict[str, NDArray[np.int64]]:
    """Where the living rows stand now, by kind of segment: (chunks, 2) of first row and number of rows."""
    found = database.execute("SELECT id, 1, token_start, token_rows FROM chunks ORDER BY id").fetchall()
    table = np.array(found, np.int64).reshape(-1, 4)
    return {"vectors": table[:, :2], "lengths": table[:, :2], "tokens": table[:, 2:]}


def _copy(old: Segment, new: Segment, places: NDArray[np.int64], disk: Disk) -> None:
    for part in _portions(places, old.width):
        new.append(old.read(part[:, 0], part[:, 1]), disk)
    new.sync(disk)


def _portions(places: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    """`places` cut so that the rows of each part take about _COPY_BYTES."""
    if not len(places):
        return
    number = np.cumsum(places[:, 1] * width) // _COPY_BYTES
    yield from np.split(places, np.flatnonzero(np.diff(number)) + 1)


def _renumber(database: sqlite3.Connection, places: dict[str, NDArray[np.int64]]) -> None:
    """Chunk ids become 0, 1, 2, ... in their old order. Smallest first, so that no id is taken twice on the way."""
    token_starts = np.cumsum(places["tokens"][:, 1]) - places["tokens"][:, 1]
    old = places["vectors"][:, 0]
    database.executemany(
        "UPDATE chunks SET id = ?, token_start = ? WHERE id = ?",
        zip(range(len(old)), token_starts.tolist(), old.tolist(), strict=True),
    )
    database.execute("DELETE FROM tombstones")
    database.execute("INSERT INTO lexical (lexical) VALUES ('rebuild')")
