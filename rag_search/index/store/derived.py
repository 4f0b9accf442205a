"""Files that are derived from the rest of an index: written whole or not at all, and read only if undamaged."""

from __future__ import annotations

import zlib
from pathlib import Path

from rag_search.index.store.disk import Disk, write_all
from rag_search.index.store.layout import DerivedFile


def write_derived(path: Path, data: memoryview, *, rows: int, disk: Disk) -> DerivedFile:
    """Write a file and return what meta.db has to record for it.

    It is written under a temporary name, synced and renamed. A writer killed anywhere leaves the recorded file as it
    was. rows: number of rows that the file covers.
    """
    unfinished = path.with_name(path.name + ".tmp")
    fd = disk.create(unfinished)
    try:
        write_all(disk, fd, data, 0)
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.rename(unfinished, path)
    disk.sync_folder(path.parent)
    return DerivedFile(path.name, rows, zlib.crc32(data))


def read_derived(folder: Path, file: DerivedFile) -> bytes | None:
    """Return the content of a derived file; None if it is absent or not what was written."""
    try:
        data = (folder / file.name).read_bytes()
    except OSError:
        return None
    return data if is_sound(data, file) else None


def is_sound(data: bytes, file: DerivedFile) -> bool:
    """Return whether `data` has the checksum recorded for `file`."""
    return zlib.crc32(data) == file.checksum
