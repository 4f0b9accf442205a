"""The folder that stored paths are relative to, noted in the index: they mean the same wherever it is opened from."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from rag_search.errors import IndexStoreError
from rag_search.index.store import state
from rag_search.index.store.database import connect, has_store


def noted_form(base: Path, index: Path) -> str:
    """`base` as the index in the folder `index` notes it: from there when it lies in it, as both are moved together."""
    base, index = Path(os.path.abspath(base)), Path(os.path.abspath(index))  # noqa: PTH100 (`absolute` keeps `..`)
    return os.path.relpath(base, index) if index.is_relative_to(base) else str(base)


def noted_base(index: Path) -> Path | None:
    """What the index in the folder `index` notes; None when it notes nothing or cannot be read, which others say."""
    try:
        if not has_store(index):
            return None
        database = connect(index)
        try:
            noted = state.read_note(database, "base")
        finally:
            database.close()
    except (sqlite3.Error, IndexStoreError, OSError):
        return None
    return None if noted is None else Path(os.path.normpath(index / noted))
