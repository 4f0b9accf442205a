"""Upgrade indexes of older versions from their own content, so that nothing is embedded again.

1 -> 2   the segment of lengths and a view of the postings, for BM25 outside of SQLite
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np

from rag_search.errors import FingerprintError
from rag_search.index.store import state
from rag_search.index.store.database import SCHEMA
from rag_search.index.store.disk import Disk
from rag_search.index.store.encodings import term_counts
from rag_search.index.store.layout import REBUILD, SCHEMA_VERSION, IndexManifest, file_number
from rag_search.index.store.segments import Segment

_UPGRADABLE = 1


def require_current(manifest: IndexManifest, path: Path) -> None:
    """Raise FingerprintError for an index of another version, with the command that updates it."""
    if manifest.schema_version != SCHEMA_VERSION:
        upgradable = _UPGRADABLE <= manifest.schema_version < SCHEMA_VERSION
        raise FingerprintError(
            f"{path} was made with schema_version {manifest.schema_version}, this program reads {SCHEMA_VERSION}.",
            remedy="Run: ragsearch ingest" if upgradable else REBUILD,
        )


def upgrade(database: sqlite3.Connection, folder: Path, *, disk: Disk) -> None:
    """Upgrade an older index to SCHEMA_VERSION in one transaction; killed anywhere, the index is unchanged."""
    manifest = state.read_manifest(database)
    if manifest.schema_version != _UPGRADABLE:
        return
    database.execute("BEGIN IMMEDIATE")
    name, rows = database.execute("SELECT name, rows FROM segments WHERE kind = 'vectors'").fetchone()
    lengths = np.zeros((rows, 1), np.int32)  # 0 for deleted rows, which are never read
    for chunk_id, terms in database.execute("SELECT id, terms FROM chunks"):
        lengths[chunk_id] = term_counts([terms])
    segment = Segment.create(folder, "lengths", 1, number=file_number(name), disk=disk)
    try:
        segment.append(lengths, disk)
        segment.sync(disk)
    finally:
        segment.close()
    disk.sync_folder(folder)
    database.execute(next(statement for statement in SCHEMA if "lexical_places" in statement))
    database.execute("INSERT INTO segments VALUES ('lengths', ?, ?)", (segment.path.name, rows))
    state.write_manifest(database, replace(manifest, schema_version=SCHEMA_VERSION))
    state.write_generation(database, state.read_generation(database) + 1)
    database.execute("COMMIT")
