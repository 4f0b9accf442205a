"""The texts of a chunk as one compressed column: a third of their size, and no page of SQLite half empty."""

from __future__ import annotations

import json
import sqlite3
import zlib
from typing import NamedTuple

LEVEL = 6
SQL_TERMS = "packed_terms"  # the SQL function that reads the terms; see `register`


class Texts(NamedTuple):
    """The texts of a chunk. terms: for BM25, joined by spaces. passage_lines: see Chunk."""

    text: str
    passage: str
    terms: str
    heading_path: tuple[str, ...] = ()
    passage_lines: tuple[int, ...] = ()


def pack(texts: Texts) -> bytes:
    """Compress the texts of a chunk. Raises UnicodeEncodeError for half a surrogate pair."""
    return zlib.compress(json.dumps(texts, ensure_ascii=False, separators=(",", ":")).encode(), LEVEL)


def unpack(packed: bytes) -> Texts:
    """Return the texts that `pack` compressed. Raises ValueError for damaged bytes."""
    try:
        text, passage, terms, heading_path, passage_lines = json.loads(zlib.decompress(packed))
    except zlib.error as error:
        raise ValueError(f"the texts of a chunk cannot be read: {error}") from error
    return Texts(text, passage, terms, tuple(heading_path), tuple(passage_lines))


def register(database: sqlite3.Connection) -> None:
    """Make the terms of a chunk readable in SQL: FTS5 takes them from a view, so they are stored once."""
    database.create_function(SQL_TERMS, 1, _terms, deterministic=True)


def _terms(packed: bytes) -> str:
    return unpack(packed).terms
