"""What meta.db says about the index as a whole: manifest, generation, segments, ANN cache."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from rag_search.errors import FingerprintError, IndexCorruptError
from rag_search.index.store.layout import REBUILD, AnnFile, IndexManifest
from rag_search.index.store.segments import Segment, close_all, has_current_form

# base: the folder that stored paths are relative to (see `base.noted_form`); chunking: the rules by which documents are
# cut into chunks
Note = Literal["base", "chunking", "frequent_terms"]


def read_manifest(database: sqlite3.Connection) -> IndexManifest:
    """Raises IndexCorruptError when it is not one of ours."""
    try:
        return IndexManifest(**json.loads(_meta(database, "manifest")))
    except (TypeError, ValueError) as error:
        raise IndexCorruptError(f"the manifest in meta.db cannot be read: {error}.", remedy=REBUILD) from error


def write_manifest(database: sqlite3.Connection, manifest: IndexManifest) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES ('manifest', ?)", (json.dumps(asdict(manifest)),))


def read_generation(database: sqlite3.Connection) -> int:
    """Grows by one with every commit."""
    return int(_meta(database, "generation"))


def write_generation(database: sqlite3.Connection, generation: int) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (str(generation),))


def read_ann(database: sqlite3.Connection) -> AnnFile | None:
    row = database.execute("SELECT name, rows, checksum FROM ann").fetchone()
    return None if row is None else AnnFile(*row)


def write_ann(database: sqlite3.Connection, ann: AnnFile | None) -> None:
    database.execute("DELETE FROM ann")
    if ann is not None:
        database.execute("INSERT INTO ann VALUES (?, ?, ?)", (ann.name, ann.rows, ann.checksum))


def is_sound(data: bytes, ann: AnnFile) -> bool:
    """Return whether `data` is the content that was written for `ann`, by its checksum."""
    return zlib.crc32(data) == ann.checksum


def read_frequent_terms(database: sqlite3.Connection) -> dict[str, int]:
    """See `bm25.frequent_terms`; empty for an index that never was large."""
    noted = json.loads(read_note(database, "frequent_terms") or "{}")
    return {str(term): int(chunks) for term, chunks in noted.items()}


def write_frequent_terms(database: sqlite3.Connection, terms: Mapping[str, int]) -> None:
    write_note(database, "frequent_terms", json.dumps(dict(terms), ensure_ascii=False))


def read_note(database: sqlite3.Connection, key: Note) -> str | None:
    """What stands in `meta` besides manifest and generation; None in an index whose writer did not note it."""
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_note(database: sqlite3.Connection, key: Note, value: str) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def open_segments(
    database: sqlite3.Connection, folder: Path, manifest: IndexManifest, *, writable: bool = False
) -> dict[str, Segment]:
    """The segments that meta.db names, by kind. Raises FileNotFoundError, IndexCorruptError and FingerprintError."""
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
    database.executemany(
        "INSERT OR REPLACE INTO segments VALUES (?, ?, ?)",
        [(segment.kind, segment.path.name, segment.rows) for segment in segments.values()],
    )


def segment_columns(manifest: IndexManifest) -> dict[str, int]:
    """Columns by kind of segment; no token segment for an engine without token vectors."""
    columns = {"vectors": manifest.dim, "lengths": 1}
    return {**columns, "tokens": manifest.token_bytes} if manifest.token_dim else columns


def _meta(database: sqlite3.Connection, key: str) -> str:
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if row is None:
        raise IndexCorruptError(f"meta.db has no {key}.", remedy=REBUILD)
    return str(row[0])
