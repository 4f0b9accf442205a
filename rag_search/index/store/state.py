"""The parts of meta.db that describe the index as a whole: manifest, generation, segments, derived file, roots."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import FingerprintError, IndexCorruptError
from rag_search.index.store.layout import REBUILD, DerivedFile, IndexManifest
from rag_search.index.store.segments import Segment, close_all, has_current_form
from rag_search.index.store.sums import write_tables_sum

# base: the folder that stored paths are relative to (see `base_path.recorded_form`); chunking: the rules by which
# documents are chunked
MetaKey = Literal["base", "chunking", "frequent_terms"]
Source = Literal["vectors", "postings"]
SOURCES: tuple[Source, ...] = ("vectors", "postings")


def read_manifest(database: sqlite3.Connection) -> IndexManifest:
    """Read the manifest. Raises IndexCorruptError when it is not valid."""
    try:
        return IndexManifest(**json.loads(_meta(database, "manifest")))
    except (TypeError, ValueError) as error:
        raise IndexCorruptError(f"the manifest in meta.db cannot be read: {error}.", remedy=REBUILD) from error


def write_manifest(database: sqlite3.Connection, manifest: IndexManifest) -> None:
    """Write the manifest."""
    database.execute("INSERT OR REPLACE INTO meta VALUES ('manifest', ?)", (json.dumps(asdict(manifest)),))


def read_generation(database: sqlite3.Connection) -> int:
    """Read the generation, which grows by one with every commit."""
    return int(_meta(database, "generation"))


def write_generation(database: sqlite3.Connection, generation: int) -> None:
    """Write the generation and the checksum of the tables that describe it; it is the last write of a transaction."""
    database.execute("INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (str(generation),))
    write_tables_sum(database, generation)


def read_derived(database: sqlite3.Connection, source: Source) -> DerivedFile | None:
    """Read which file is derived from the vectors or from the postings; None without one."""
    row = database.execute("SELECT name, rows, checksum FROM derived WHERE source = ?", (source,)).fetchone()
    return None if row is None else DerivedFile(*row)


def write_derived(database: sqlite3.Connection, source: Source, file: DerivedFile) -> None:
    """Record the file derived from the vectors or from the postings."""
    database.execute(
        "INSERT OR REPLACE INTO derived VALUES (?, ?, ?, ?)", (source, file.name, file.rows, file.checksum)
    )


def forget_derived(database: sqlite3.Connection) -> None:
    """Record that no file is derived."""
    database.execute("DELETE FROM derived")


def read_deleted(database: sqlite3.Connection) -> NDArray[np.int64]:
    """Read the sorted ids of deleted rows."""
    return np.array([row for (row,) in database.execute("SELECT row FROM tombstones ORDER BY row")], np.int64)


def has_pending_table(database: sqlite3.Connection) -> bool:
    """Return whether any chunk was ever put without vectors."""
    return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'pending'").fetchone() is not None


def read_pending(database: sqlite3.Connection) -> NDArray[np.int64]:
    """Read the sorted ids of chunks without vectors."""
    rows = database.execute("SELECT row FROM pending ORDER BY row") if has_pending_table(database) else ()
    return np.array([row for (row,) in rows], np.int64)


def read_roots(database: sqlite3.Connection) -> list[str]:
    """Read the folders that the index is kept equal to, sorted."""
    return [root for (root,) in database.execute("SELECT path FROM roots ORDER BY path")]


def read_frequent_terms(database: sqlite3.Connection) -> dict[str, int]:
    """Read the record of `bm25.frequent_terms`; empty for an index that never was large."""
    recorded = json.loads(read_meta(database, "frequent_terms") or "{}")
    return {str(term): int(chunks) for term, chunks in recorded.items()}


def write_frequent_terms(database: sqlite3.Connection, terms: Mapping[str, int]) -> None:
    """Record which terms are frequent, and in how many chunks they occur."""
    write_meta(database, "frequent_terms", json.dumps(dict(terms), ensure_ascii=False))


def read_meta(database: sqlite3.Connection, key: MetaKey) -> str | None:
    """Read an optional entry of `meta`; None if no writer has set it."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_meta(database: sqlite3.Connection, key: MetaKey, value: str) -> None:
    """Write an optional entry of `meta`."""
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def open_segments(
    database: sqlite3.Connection, folder: Path, manifest: IndexManifest, *, writable: bool = False
) -> dict[str, Segment]:
    """Open the segments that meta.db names, by kind.

    Raises FileNotFoundError, IndexCorruptError, FingerprintError.
    """
    columns = segment_columns(manifest)
    opened: dict[str, Segment] = {}
    rows = database.execute("SELECT kind, name, rows FROM segments").fetchall()
    if {kind for kind, _, _ in rows} != set(columns):
        raise IndexCorruptError(f"{folder} does not name the segments its manifest needs.", remedy=REBUILD)
    for kind, name, _ in rows:
        if not has_current_form(kind, name):
            raise FingerprintError(f"{folder} holds {kind} of an older form, {name}.", remedy=REBUILD)
    try:
        for kind, name, count in rows:
            opened[kind] = Segment.open(folder / name, kind, columns[kind], rows=count, writable=writable)
    except (OSError, IndexCorruptError):
        close_all(opened)
        raise
    return opened


def write_segments(database: sqlite3.Connection, segments: Mapping[str, Segment]) -> None:
    """Record the names and the committed rows of the segments."""
    database.executemany(
        "INSERT OR REPLACE INTO segments VALUES (?, ?, ?)",
        [(segment.kind, segment.path.name, segment.rows) for segment in segments.values()],
    )


def segment_columns(manifest: IndexManifest) -> dict[str, int]:
    """Return the columns of each kind of segment; no token segment for an engine without token vectors."""
    columns = {"vectors": manifest.dim, "lengths": 1}
    return {**columns, "tokens": manifest.token_bytes} if manifest.token_dim else columns


def _meta(database: sqlite3.Connection, key: str) -> str:
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise IndexCorruptError(f"meta.db has no {key}.", remedy=REBUILD)
    return str(row[0])
