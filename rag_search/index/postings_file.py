"""Write the file of postings: the part of `postings` that only a writer needs."""

from __future__ import annotations

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.index.postings import DTYPES, FOOTER, MAGIC, MAX_NEWER, WIDTHS, runs
from rag_search.index.store.derived import write_blocks
from rag_search.index.store.disk import Disk
from rag_search.index.store.layout import DerivedFile

FILE_ROWS = 10_000  # below so many rows FTS5 is as fast


def is_due(file: DerivedFile | None, folder: Path, *, rows: int) -> bool:
    """Return whether the index is large enough for the file, and it is absent or has fallen behind."""
    if rows < FILE_ROWS:
        return False
    return file is None or not _has_current_form(folder / file.name) or rows - file.rows > MAX_NEWER


def _has_current_form(path: Path) -> bool:
    """Return whether the file is there and ends as this version writes it."""
    try:
        with path.open("rb") as file:
            file.seek(-FOOTER.size, os.SEEK_END)
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def build_postings(
    database: sqlite3.Connection, folder: Path, *, generation: int, rows: int, disk: Disk
) -> DerivedFile:
    """Write the file from the postings of FTS5. generation: the one of the commit; rows: those of the index."""
    return write_blocks(folder / f"postings-{generation:06d}.bm25", _blocks(database), rows=rows, disk=disk)


def _blocks(database: sqlite3.Connection) -> Iterator[bytes]:
    """Yield the content of the file: posting lists, dictionary, footer."""
    terms: list[bytes] = []
    facts: list[tuple[int, int, int, int, int]] = []
    offset = 0
    for term, places in database.execute(
        "SELECT term, group_concat(doc) FROM lexical_places GROUP BY term ORDER BY term"
    ):
        ids, times = runs(places)
        gaps, gap_bytes = _packed(np.diff(ids, prepend=0))
        repeats, repeat_bytes = _packed(times - 1)
        block = gaps + repeats
        terms.append(term.encode())
        facts.append((offset, len(ids), zlib.crc32(block), gap_bytes, repeat_bytes))
        offset += len(block)
        yield block
    columns = np.array(facts, np.uint64).reshape(-1, 5).T
    ends = np.cumsum([len(term) for term in terms], dtype=np.uint64)
    parts = [column.astype(dtype).tobytes() for column, dtype in zip((ends, *columns), DTYPES, strict=True)]
    dictionary = b"".join((*parts, *terms))
    yield dictionary
    footer = FOOTER.pack(MAGIC, len(terms), offset, len(dictionary), zlib.crc32(dictionary), 0)[:-4]
    yield footer + struct.pack("<I", zlib.crc32(footer))


def _packed(numbers: NDArray[np.int64]) -> tuple[bytes, int]:
    """Return numbers in as few bytes each as the largest needs, and how many: 0 where all are zero."""
    largest = int(numbers.max())
    width = next(width for width in WIDTHS if largest < 256**width)
    return numbers.astype(f"<u{width}").tobytes() if width else b"", width
