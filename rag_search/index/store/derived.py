"""Files that are derived from the rest of an index: written whole or not at all, and read only if undamaged."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from rag_search.index.store.disk import Disk, write_all
from rag_search.index.store.layout import DerivedFile

_WRITE_BYTES = 2**20


def write_derived(path: Path, data: memoryview, *, rows: int, disk: Disk) -> DerivedFile:
    """Write a file and return what meta.db has to record for it; see `write_blocks`."""
    return write_blocks(path, (data,), rows=rows, disk=disk)


def write_blocks(path: Path, blocks: Iterable[bytes | memoryview], *, rows: int, disk: Disk) -> DerivedFile:
    """Write a file block by block and return what meta.db has to record for it.

    It is written under a temporary name, synced and renamed. A writer killed anywhere leaves the recorded file as it
    was. rows: number of rows that the file covers.
    """
    unfinished = path.with_name(path.name + ".tmp")
    checksum = offset = 0
    fd = disk.create(unfinished)
    try:
        for data in _joined(blocks):
            write_all(disk, fd, data, offset)
            checksum, offset = zlib.crc32(data, checksum), offset + len(data)
        disk.sync(fd)
    finally:
        disk.close(fd)
    disk.rename(unfinished, path)
    disk.sync_folder(path.parent)
    return DerivedFile(path.name, rows, checksum)


def _joined(blocks: Iterable[bytes | memoryview]) -> Iterator[memoryview]:
    """Join small blocks, so that each write is worth a system call."""
    waiting = bytearray()
    for block in blocks:
        if len(block) >= _WRITE_BYTES:
            if waiting:
                yield memoryview(bytes(waiting))
                waiting.clear()
            yield memoryview(block)
            continue
        waiting += block
        if len(waiting) >= _WRITE_BYTES:
            yield memoryview(bytes(waiting))
            waiting.clear()
    if waiting:
        yield memoryview(bytes(waiting))


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
