"""Open an index in a folder, for reading or for writing."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from rag_search.errors import IndexCorruptError, IndexStoreError
from rag_search.index.dense.base import DerivedIndex
from rag_search.index.dense.select import derived_index
from rag_search.index.reader import IndexReader
from rag_search.index.store import state
from rag_search.index.store.database import connect, has_store, identity_of, replaced, store_errors, value_errors
from rag_search.index.store.disk import DISK, Disk
from rag_search.index.store.layout import DATABASE, REBUILD, IndexManifest, no_index

if TYPE_CHECKING:
    from rag_search.index.store.lock import WriterLock
    from rag_search.index.writer import IndexWriter

_OPEN_ATTEMPTS = 10


def open_reader(path: Path, *, vectors: DerivedIndex | None = None) -> IndexReader:
    """Open the newest generation of the index in the folder `path`. It takes no lock and never waits for a writer.

    vectors: the vector backend, None: `auto`. It is opened by the first dense search. Raises IndexMissingError,
    IndexCorruptError, IndexStoreError.
    """
    for _ in range(_OPEN_ATTEMPTS):
        with store_errors(path), value_errors(path):
            identity, stamp = identity_of(path), _stamp_of(path)
            if identity is None:
                raise no_index(path)
            try:
                return IndexReader(path, identity, vectors=vectors or derived_index("auto"))
            except FileNotFoundError as error:  # compacted away since meta.db was read: read it again
                missing = error
            except (sqlite3.Error, IndexStoreError):
                if _stamp_of(path) == stamp:
                    raise
                missing = replaced(path)  # by a rebuild, and SQLite met files of both
    raise IndexCorruptError(f"{missing.filename} is missing.", remedy=REBUILD) from missing


def _stamp_of(folder: Path) -> tuple[int, int] | None:
    """Return inode and time of change of meta.db; None without it.

    A file system gives the inode of a removed file to the next one, so the second rebuild may get that of the first.
    """
    try:
        info = (folder / DATABASE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (info.st_ino, info.st_ctime_ns)


def open_writer(
    path: Path,
    manifest: IndexManifest,
    *,
    vectors: DerivedIndex | None = None,
    rebuild: bool = False,
    disk: Disk = DISK,
) -> IndexWriter:
    """Open the index in the folder `path` for writing, or create an empty one.

    vectors: the vector backend, None: `auto`. rebuild: delete the content first. Raises IndexLockedError while
    another writer is open, FingerprintError when the index was made with another manifest, IndexCorruptError,
    IndexStoreError.
    """
    from rag_search.index.store.lock import WriterLock  # here, and not for readers
    from rag_search.index.store.recovery import create_store, salvaged_roots

    with store_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(path)
        try:
            if rebuild or not has_store(path):
                roots, base = salvaged_roots(path) if rebuild else ([], None)
                create_store(path, manifest, roots=roots, base=base, disk=disk)
            return _open(path, manifest, vectors or derived_index("auto"), lock, disk)
        except BaseException:
            lock.release()
            raise


def _open(path: Path, manifest: IndexManifest, vectors: DerivedIndex, lock: WriterLock, disk: Disk) -> IndexWriter:
    from rag_search.index.store.recovery import recover
    from rag_search.index.writer import IndexWriter

    database = connect(path, writer=True)
    try:
        state.read_manifest(database).require_match(manifest, path=path)
        segments = recover(database, path, disk=disk)
        return IndexWriter(path, manifest, database, segments, vectors=vectors, lock=lock, disk=disk)
    except BaseException:
        database.close()
        raise
