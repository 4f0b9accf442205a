"""Reclaim what is not used any more: rows of deleted chunks, pages of the database, scattered terms."""

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

DELETED_SHARE = 0.25
SCATTERED = 8  # parts of the lexical index, each of which a search looks up every term in
MERGED_ROWS = 10_000  # of an index; a larger one has a file of postings
FREE_SHARE = 0.25  # of the pages of the database
_COPY_BYTES = 16 * 2**20


def needs_compaction(database: sqlite3.Connection, rows: int) -> bool:
    """Return whether a quarter of the `rows` are deleted."""
    (deleted,) = database.execute("SELECT count(*) FROM tombstones").fetchone()
    return bool(deleted > 0 and deleted >= DELETED_SHARE * rows)


def needs_merge(database: sqlite3.Connection, rows: int) -> bool:
    """Return whether the terms of a small index are in many parts.

    FTS5 begins a part with every commit, and its automerge leaves up to sixteen of those that have less than 64 pages
    (SQLite 3.54, fts5IndexAutomerge in ext/fts5/fts5_index.c).
    """
    (parts,) = database.execute("SELECT count(DISTINCT segid) FROM lexical_idx").fetchone()
    return bool(rows <= MERGED_ROWS and parts > SCATTERED)


def merge_terms(database: sqlite3.Connection) -> None:
    """Merge the parts of the lexical index, and commit the open transaction: look-ups then take half the time.

    Two thousand chunks take 50 ms. The pages that this frees are given back.
    """
    database.execute("INSERT INTO lexical (lexical) VALUES ('optimize')")
    database.execute("COMMIT")
    (free,), (pages,) = (database.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_count"))
    if free > FREE_SHARE * pages:
        database.execute("VACUUM")


def compact(database: sqlite3.Connection, folder: Path, old: dict[str, Segment], *, disk: Disk) -> dict[str, Segment]:
    """Copy the live rows into new segments, commit the open transaction and return the new segments.

    Readers that have the old files open keep reading them: only the names are removed.
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
        state.forget_derived(database)
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
    """Return the first row and the number of rows of each live chunk, (chunks, 2), by kind of segment."""
    rows = database.execute("SELECT id, 1, token_start, token_rows FROM chunks ORDER BY id").fetchall()
    table = np.array(rows, np.int64).reshape(-1, 4)
    return {"vectors": table[:, :2], "lengths": table[:, :2], "tokens": table[:, 2:]}


def _copy(old: Segment, new: Segment, places: NDArray[np.int64], disk: Disk) -> None:
    for part in _portions(places, old.width):
        new.append(old.read(part[:, 0], part[:, 1]), disk)
    new.sync(disk)


def _portions(places: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    """Split `places` so that the rows of each part take about _COPY_BYTES."""
    if not len(places):
        return
    number = np.cumsum(places[:, 1] * width) // _COPY_BYTES
    yield from np.split(places, np.flatnonzero(np.diff(number)) + 1)


def _renumber(database: sqlite3.Connection, places: dict[str, NDArray[np.int64]]) -> None:
    """Renumber the chunks to 0, 1, 2, ... in their order. The smallest goes first, so no id is in use twice."""
    token_starts = np.cumsum(places["tokens"][:, 1]) - places["tokens"][:, 1]
    old = places["vectors"][:, 0]
    database.executemany(
        "UPDATE chunks SET id = ?, token_start = ? WHERE id = ?",
        zip(range(len(old)), token_starts.tolist(), old.tolist(), strict=True),
    )
    database.execute("DELETE FROM tombstones")
    database.execute("INSERT INTO lexical (lexical) VALUES ('rebuild')")
