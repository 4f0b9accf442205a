"""Read and checksum the encoded form of chunks: vectors and token vectors. A disk can change a bit and say nothing."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import IndexCorruptError
from rag_search.index.store.database import TOKENS
from rag_search.index.store.rows import PLACES, load_chunks, passage_hash
from rag_search.index.store.segments import Segment
from rag_search.index.store.sums import damaged_document_of
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


class StoredChunk(NamedTuple):
    """A chunk with its rows as they are stored.

    vector: float16 (dim,). tokens: uint8 (rows, token_dim / 2), without rows if the embedder makes none. token_count:
    tokens before pooling.
    """

    chunk: Chunk
    vector: NDArray[np.float16]
    tokens: NDArray[np.uint8]
    token_count: int


def load_stored(
    database: sqlite3.Connection,
    segments: Mapping[str, Segment],
    chunk_ids: Sequence[int],
    *,
    pending: Collection[int],
    place: Path,
) -> list[StoredChunk]:
    """Load chunks with their rows, in the order of the ids.

    pending: chunks without vectors, whose rows are not compared. place: of the index, for the message. Raises KeyError
    for an unknown id, IndexCorruptError unless texts, vectors and documents are those that were written.
    """
    if (path := damaged_document_of(database, chunk_ids)) is not None:
        raise IndexCorruptError(f"{place}: document {path!r} is not what was written.", remedy=DAMAGED)
    chunks, places, checksums = load_chunks(database, chunk_ids)
    vectors = segments["vectors"].read(places[:, 0], np.ones(len(places), np.int64))
    lengths = places[:, 2] if "tokens" in segments else np.zeros(len(places), np.int64)
    rows = segments["tokens"].read(places[:, 1], lengths) if "tokens" in segments else np.empty((0, 0), np.uint8)
    ends, counts = np.cumsum(lengths).tolist(), places[:, 3].tolist()
    stored = [
        StoredChunk(chunk, vector, rows[end - length : end], count)
        for chunk, vector, end, length, count in zip(chunks, vectors, ends, lengths.tolist(), counts, strict=True)
    ]
    for each, checksum in zip(stored, checksums, strict=True):
        if each.chunk.chunk_id not in pending and _checksum(each) != checksum:
            raise IndexCorruptError(f"{place}: chunk {each.chunk.chunk_id} is not what was written.", remedy=DAMAGED)
    return stored


def _checksum(stored: StoredChunk) -> int:
    """Return the checksum of `row_checksums`."""
    return zlib.crc32(stored.tokens.data, zlib.crc32(stored.vector.data, zlib.crc32(stored.chunk.text.encode())))
