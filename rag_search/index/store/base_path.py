"""The folder that stored paths are relative to. The index records it, so paths mean the same from any folder."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from rag_search.errors import IndexStoreError
from rag_search.index.store import state
from rag_search.index.store.database import connect, has_store


def recorded_form(base: Path, index: Path) -> str:
    """Return the form of `base` to record: relative to the index folder if it contains it, else absolute.

    The relative form allows both to be moved together.
    """
    base, index = Path(os.path.abspath(base)), Path(os.path.abspath(index))  # noqa: PTH100 (`absolute` keeps `..`)
    return os.path.relpath(base, index) if index.is_relative_to(base) else str(base)


def read_base_path(index: Path) -> Path | None:
    """Return the recorded base folder; None if there is none or the index cannot be read (opening it reports that)."""
    try:
        if not has_store(index):
            return None
        database = connect(index)
        try:
            recorded = state.read_meta(database, "base")
        finally:
            database.close()
    except (sqlite3.Error, IndexStoreError, OSError):
        return None
    return None if recorded is None else Path(os.path.normpath(index / recorded))
