"""Giving back the rows of removed chunks: new segments, one transaction, then the old files go."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.index import state
from rag_search.index.disk import Disk
from rag_search.index.layout import file_number
from rag_search.index.recovery import remove_unnamed
from rag_search.index.segments import Segment

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
    new = {kind: _copied(segment, places[kind], folder, disk) for kind, segment in old.items()}
    disk.sync_folder(folder)
    _renumber(database, places)
    state.write_segments(database, new)
    state.write_ann(database, None)
    state.write_generation(database, state.read_generation(database) + 1)
    database.execute("COMMIT")
    for segment in old.values():
        segment.close()
    remove_unnamed(database, folder, disk=disk)
    return new


def _places(database: sqlite3.Connection) -> dict[str, NDArray[np.int64]]:
    """Where the living rows stand now, by kind of segment: (chunks, 2) of first row and number of rows."""
    found = database.execute("SELECT id, 1, token_start, token_rows FROM chunks ORDER BY id").fetchall()
    table = np.array(found, np.int64).reshape(-1, 4)
    return {"vectors": table[:, :2], "tokens": table[:, 2:]}


def _copied(old: Segment, places: NDArray[np.int64], folder: Path, disk: Disk) -> Segment:
    new = Segment.create(folder, old.kind, old.columns, number=file_number(old.path.name) + 1, disk=disk)
    for part in _portions(places, old.width):
        new.append(_read(old, part), disk)
    new.sync(disk)
    return new


def _read(segment: Segment, places: NDArray[np.int64]) -> NDArray[Any]:
    return segment.read(places[:, 0], places[:, 1])


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
