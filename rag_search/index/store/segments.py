"""Append-only files of fixed-width rows. meta.db records how many rows count; the file may be longer."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import IndexCorruptError
from rag_search.index.store.disk import DISK, Disk, write_all
from rag_search.index.store.layout import REBUILD

_SUFFIXES = {"vectors": "f16", "tokens": "u3", "lengths": "i32"}
_TYPES: dict[str, np.dtype[Any]] = {
    "vectors": np.dtype("<f2"),
    "tokens": np.dtype("u1"),  # three bits a dimension
    "lengths": np.dtype("<i4"),
}


def segment_name(kind: str, number: int) -> str:
    """Return the file name of a segment."""
    return f"{kind}-{number:06d}.{_SUFFIXES[kind]}"


def has_current_form(kind: str, name: str) -> bool:
    """Return whether the rows of the file `name` have the form that this version writes."""
    return name.endswith(f".{_SUFFIXES[kind]}")


class Segment:
    """Rows (n, columns) of one file. Reading is safe from many threads at once.

    fd: the open file, which the segment takes over. rows: number of committed rows.
    """

    def __init__(self, path: Path, kind: str, columns: int, *, fd: int, rows: int = 0) -> None:
        self.path = path
        self.kind = kind
        self.columns = columns
        self.dtype = _TYPES[kind]
        self.rows = rows
        self._fd = fd

    @classmethod
    def open(cls, path: Path, kind: str, columns: int, *, rows: int, writable: bool = False) -> Segment:
        """Open a segment. Raises FileNotFoundError, IndexCorruptError when the file lacks committed rows."""
        fd = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC)
        segment = cls(path, kind, columns, fd=fd, rows=rows)
        if os.fstat(fd).st_size < segment.bytes:
            segment.close()
            raise _too_short(path, rows)
        return segment

    @classmethod
    def create(cls, folder: Path, kind: str, columns: int, *, number: int, disk: Disk = DISK) -> Segment:
        """Create an empty segment."""
        path = folder / segment_name(kind, number)
        return cls(path, kind, columns, fd=disk.create(path))

    @property
    def width(self) -> int:
        """Size of a row in bytes."""
        return self.columns * self.dtype.itemsize

    @property
    def bytes(self) -> int:
        """Size of the committed rows in bytes."""
        return self.rows * self.width

    def append(self, rows: NDArray[Any], disk: Disk) -> int:
        """Append rows (m, columns) and return the id of the first. Not durable before `sync`."""
        first = self.rows
        data = np.ascontiguousarray(rows, self.dtype)
        if data.ndim != 2 or data.shape[1] != self.columns:
            raise ValueError(f"rows of shape {data.shape} for a segment of {self.columns} columns")
        if len(data):
            write_all(disk, self._fd, data.view(np.uint8).reshape(-1).data, self.bytes)
        self.rows += len(data)
        return first

    def overwrite(self, places: Sequence[int], rows: NDArray[Any], disk: Disk) -> None:
        """Write rows (m, columns) over those at `places`, which no reader looks at. Not durable before `sync`."""
        data = np.ascontiguousarray(rows, self.dtype)
        if data.shape != (len(places), self.columns) or (places and max(places) >= self.rows):
            raise ValueError(f"rows of shape {data.shape} for {len(places)} of {self.rows} rows")
        for place, row in zip(places, data, strict=True):
            write_all(disk, self._fd, row.view(np.uint8).data, place * self.width)

    def sync(self, disk: Disk) -> None:
        """Make appended rows durable."""
        disk.sync(self._fd)

    def cut_tail(self, disk: Disk) -> None:
        """Remove rows that an interrupted writer left after the committed ones."""
        if os.fstat(self._fd).st_size > self.bytes:
            disk.truncate(self._fd, self.bytes)

    def matrix(self) -> NDArray[Any]:
        """Map all rows without a copy: (rows, columns)."""
        if not self.rows:
            return np.empty((0, self.columns), self.dtype)
        pages = mmap.mmap(self._fd, self.bytes, prot=mmap.PROT_READ)  # by descriptor: the name may be gone
        return np.frombuffer(pages, self.dtype).reshape(self.rows, self.columns)

    def read(self, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[Any]:
        """Read the runs `[start, start + count)` and join them: (sum of counts, columns).

        It uses pread and not a map: pages of a map stay in the process, and a million rows would fill it. It reads
        in file order, which is fastest on a disk.
        """
        ends = np.cumsum(counts)
        out = np.empty((int(ends[-1]) if len(ends) else 0, self.columns), self.dtype)
        if len(ends) and (int(starts.min()) < 0 or int((starts + counts).max()) > self.rows):
            raise IndexError(f"rows outside the {self.rows} rows of {self.path.name}")
        flat = out.view(np.uint8).reshape(-1).data
        order = np.argsort(starts, kind="stable")
        places = (np.stack((starts, ends - counts, ends), axis=1)[order] * self.width).tolist()
        for offset, first, last in places:  # hundreds a query: keep this loop to the call
            if os.preadv(self._fd, (flat[first:last],), offset) != last - first:
                self._read_slowly(flat[first:last], offset)
        return out

    def _read_slowly(self, part: memoryview, offset: int) -> None:
        """Read as many bytes at a time as the system call gives. Raises IndexCorruptError at the end of the file."""
        while part:
            got = os.preadv(self._fd, [part], offset)
            if not got:
                raise _too_short(self.path, self.rows)
            part, offset = part[got:], offset + got

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def close_all(segments: Mapping[str, Segment]) -> None:
    """Close every segment."""
    for segment in segments.values():
        segment.close()


def _too_short(path: Path, rows: int) -> IndexCorruptError:
    return IndexCorruptError(f"{path} is shorter than its {rows} committed rows.", remedy=REBUILD)
