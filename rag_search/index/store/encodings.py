"""Read and checksum the encoded form of chunks: vectors and token vectors. A disk can change a bit and say nothing."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import IndexCorruptError
from rag_search.index.store.database import TOKENS
from rag_search.index.store.rows import PLACES, json_list, passage_hash
from rag_search.index.store.segments import Segment
from rag_search.records import Chunk, Encoded, TokenVectors

DAMAGED = "Run: ragsearch verify, then ragsearch ingest --rebuild"


def read_encoded(segments: Mapping[str, Segment], places: NDArray[np.int64]) -> Encoded:
    """Read the encoded form of chunks, one row each.

    places: int64 (n, 4): row of the vector, first token row, number of token rows, number of tokens.
    """
    vectors = np.asarray(segments["vectors"].read(places[:, 0], np.ones(len(places), np.int64)), np.float32)
    if "tokens" not in segments:
        return Encoded(vectors)
    rows = segments["tokens"].read(places[:, 1], places[:, 2])
    return Encoded(vectors, TokenVectors(rows, places[:, 2], places[:, 3]))


def find_encoded(
    database: sqlite3.Connection, segments: Mapping[str, Segment], passage: str, *, condition: str = "TRUE"
) -> Encoded | None:
    """Read the encoded form of a passage from any chunk that has it, one row; None when no chunk does.

    condition: on the chunks to look at.
    """
    row = database.execute(
        f"SELECT {PLACES} FROM chunks WHERE passage_hash = ? AND {condition} LIMIT 1", (passage_hash(passage),)
    ).fetchone()
    return None if row is None else read_encoded(segments, np.array([row], np.int64))


def term_counts(terms: Sequence[str]) -> NDArray[np.int32]:
    """Count the terms that FTS5 sees in each line: int32 (n, 1), rows of the segment of lengths."""
    return np.array([[len(TOKENS.findall(line))] for line in terms], np.int32).reshape(-1, 1)


def row_checksums(encoded: Encoded, texts: Sequence[str]) -> list[int]:
    """Return the CRC-32 of each chunk over its text, its vector as stored and its token vectors."""
    sums = [
        zlib.crc32(np.ascontiguousarray(row, "<f2").tobytes(), zlib.crc32(text.encode()))
        for row, text in zip(encoded.vectors, texts, strict=True)
    ]
    if encoded.tokens is None or not sums:
        return sums
    parts = np.split(encoded.tokens.rows, np.cumsum(encoded.tokens.lengths)[:-1])
    return [zlib.crc32(part.tobytes(), crc) for part, crc in zip(parts, sums, strict=True)]


def require_sound(
    database: sqlite3.Connection,
    segments: Mapping[str, Segment],
    chunks: Sequence[Chunk],
    *,
    pending: Collection[int],
    place: Path,
) -> None:
    """Raise IndexCorruptError unless the text and the vectors of chunks are those that were written.

    It reads what a query reads anyway: some 5 kB for each of its candidates. pending: chunks without vectors, which
    have none to compare. place: of the index, for the message.
    """
    texts = {chunk.chunk_id: chunk.text for chunk in chunks if chunk.chunk_id not in pending}
    rows = database.execute(
        f"SELECT {PLACES}, checksum FROM chunks WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json_list(list(texts)),),
    ).fetchall()
    if not rows:
        return
    encoded = read_encoded(segments, np.array([row[:4] for row in rows], np.int64))
    found = row_checksums(encoded, [texts[row[0]] for row in rows])
    damaged = [row[0] for row, checksum in zip(rows, found, strict=True) if row[4] != checksum]
    if damaged:
        raise IndexCorruptError(f"{place}: chunk {damaged[0]} is not what was written.", remedy=DAMAGED)
