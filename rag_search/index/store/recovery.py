"""Create, clear and recover the folder of an index: the files in it become those that meta.db names."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from rag_search.errors import IndexCorruptError, IndexStoreError
from rag_search.index.store import state
from rag_search.index.store.database import SCHEMA, connect, has_store
from rag_search.index.store.disk import Disk
from rag_search.index.store.layout import DATABASE, REBUILD, IndexManifest, derived_files, file_number
from rag_search.index.store.segments import Segment, close_all


def recover(database: sqlite3.Connection, folder: Path, *, disk: Disk) -> dict[str, Segment]:
    """Open the segments for appending: cut torn tails and remove files that meta.db does not name."""
    try:
        segments = state.open_segments(database, folder, state.read_manifest(database), writable=True)
    except FileNotFoundError as error:
        raise IndexCorruptError(f"{error.filename} is missing.", remedy=REBUILD) from error
    try:
        for segment in segments.values():
            segment.cut_tail(disk)
        remove_unnamed(database, folder, disk=disk)
    except BaseException:
        close_all(segments)
        raise
    return segments


def remove_unnamed(database: sqlite3.Connection, folder: Path, *, disk: Disk) -> None:
    """Delete segments and derived files that meta.db does not name: leftovers of an interrupted step."""
    for file in unnamed_files(database, folder):
        disk.remove(file)


def unnamed_files(database: sqlite3.Connection, folder: Path) -> list[Path]:
    """List segments and derived files that meta.db does not name."""
    named = {name for (name,) in database.execute("SELECT name FROM segments UNION ALL SELECT name FROM derived")}
    return [file for file in derived_files(folder) if file.name not in named]


def create_store(
    folder: Path, manifest: IndexManifest, *, roots: Sequence[str] = (), base: str | None = None, disk: Disk
) -> None:
    """Create an empty index in `folder` and remove the one there. Killed half-way, the folder has no index.

    Its segments get numbers that no file had before: a reader that has just read the old meta.db must not find them
    under the old names.
    """
    number = 1 + max((file_number(file.name) for file in derived_files(folder)), default=0)
    clear_store(folder, disk=disk)
    segments = {
        kind: Segment.create(folder, kind, columns, number=number, disk=disk)
        for kind, columns in state.segment_columns(manifest).items()
    }
    close_all(segments)
    disk.sync_folder(folder)
    database = connect(folder, writer=True)
    try:
        database.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            database.execute(statement)
        state.write_manifest(database, manifest)
        state.write_segments(database, segments)
        database.executemany("INSERT INTO roots VALUES (?)", [(root,) for root in roots])
        if base is not None:
            state.write_meta(database, "base", base)
        state.write_generation(database, 0)
        database.execute("COMMIT")
    finally:
        database.close()


def clear_store(folder: Path, *, disk: Disk) -> None:
    """Remove every file of an index.

    meta.db goes first: without it the rest means nothing, and a leftover log must never meet a new database.
    """
    disk.remove(folder / DATABASE)
    disk.sync_folder(folder)
    for file in (folder / f"{DATABASE}-wal", folder / f"{DATABASE}-shm", *derived_files(folder)):
        disk.remove(file)
    disk.sync_folder(folder)


def salvaged_roots(folder: Path) -> tuple[list[str], str | None]:
    """Return the root folders and the base folder of an index, for a rebuild; empty where they cannot be read."""
    try:
        if not has_store(folder):
            return [], None
        database = connect(folder)
        try:
            return state.read_roots(database), state.read_meta(database, "base")
        finally:
            database.close()
    except (sqlite3.Error, IndexStoreError):
        return [], None  # the damage that the rebuild is to repair
