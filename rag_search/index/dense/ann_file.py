"""The approximate cache: when it is worth having, and how it gets its name. FAISS itself stands in `faiss_search`."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from rag_search.index.store import state
from rag_search.index.store.disk import Disk, write_all
from rag_search.index.store.layout import AnnFile
from rag_search.index.store.recovery import remove_unnamed
from rag_search.index.store.segments import Segment

EXACT_ROWS = 65_536  # of 384 columns a scan of so many takes 8 ms, the cache over a million 7
_NEWER_SHARE = 0.125  # of EXACT_ROWS: rows after the cache are scanned, and that has to stay cheap


def needs_ann(ann: AnnFile | None, vectors: Segment, *, exact_rows: int = EXACT_ROWS) -> bool:
    """Whether searching `vectors` exactly takes too long and the cache is absent or has fallen behind."""
    if vectors.rows <= exact_rows or vectors.columns % 2:
        return False
    if ann is None or not (vectors.path.parent / ann.name).exists():
        return True
    return vectors.rows - ann.rows > _NEWER_SHARE * exact_rows


def build_ann(database: sqlite3.Connection, folder: Path, vectors: Segment, *, disk: Disk) -> None:
    """Build the cache over all rows and commit its name, in the transaction that is open.

    Temporary name, sync, rename, then the name in meta.db: killed anywhere in between, the old cache counts.
    """
    from rag_search.index.dense import faiss_cpu  # the heavy leaf; only large indexes come here

    data = faiss_cpu.build(vectors.matrix())
    generation = state.read_generation(database) + 1
    name = f"ann-{generation:06d}.faiss"
    write_file(folder / name, data, disk=disk)
    state.write_ann(database, AnnFile(name, vectors.rows, zlib.crc32(data.data)))
    state.write_generation(database, generation)
    database.execute("COMMIT")
    remove_unnamed(database, folder, disk=disk)


def write_file(path: Path, data: NDArray[Any], *, disk: Disk) -> None:
    """A whole file or none: under a temporary name first."""
    unfinished = path.with_name(path.name + ".tmp")
    fd = disk.create(unfinished)
    try:
        write_all(disk, fd, data.data, 0)
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.rename(unfinished, path)
    disk.sync_folder(path.parent)
