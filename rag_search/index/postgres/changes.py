"""Write documents and chunks, and remove them: the changes of one commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pgvector import HalfVector

from rag_search.errors import InputError
from rag_search.index.postgres.connection import Connection
from rag_search.index.postgres.filters import facts_of
from rag_search.index.postgres.postings import SegmentBuilder
from rag_search.index.postgres.rows import CHUNK_COLUMNS, DOCUMENT_COLUMNS, path_hash, record_of
from rag_search.index.store.encodings import row_checksums
from rag_search.index.store.layout import FileState
from rag_search.index.store.rows import passage_hash
from rag_search.records import Chunk, Document, Encoded

_SEGMENT_CHUNKS = 20_000


@dataclass(frozen=True, slots=True)
class Pending:
    """A document that waits to be written, as `put` was given it."""

    document: Document
    chunks: tuple[Chunk, ...]
    encoded: Encoded
    terms: tuple[str, ...]
    state: FileState


def check_path(path: str) -> None:
    """Raise InputError for a path that PostgreSQL cannot store."""
    if "\0" in path:
        raise InputError(f"{path!r} holds the character NUL, which a path in PostgreSQL cannot.")


class Removed(NamedTuple):
    """Documents and chunks that were removed."""

    documents: int = 0
    chunks: Sequence[int] = ()


def replace_documents(connection: Connection, pending: Sequence[Pending], segment: SegmentBuilder) -> Removed:
    """Write documents in place of their older versions, and their postings to `segment`."""
    removed = delete_documents(connection, [each.document.path for each in pending], segment)
    chunks = sum(len(each.chunks) for each in pending)
    ids = [n for (n,) in connection.execute("SELECT nextval('chunk_ids') FROM generate_series(1, %s)", (chunks,))]
    insert_chunks(connection, pending, insert_documents(connection, pending), ids)
    for number, line in zip(ids, (line for each in pending for line in each.terms), strict=True):
        segment.add(number, line, sign=1)
    add_totals(connection, documents=len(pending), chunks=chunks)
    return removed


def delete_documents(connection: Connection, paths: Sequence[str], segment: SegmentBuilder) -> Removed:
    """Remove documents and their chunks; paths that are not there are left out."""
    hashes = [path_hash(path) for path in paths]
    ids = [n for (n,) in connection.execute("SELECT id FROM documents WHERE path_hash = ANY(%s)", (hashes,))]
    if not ids:
        return Removed()
    gone = connection.execute("SELECT id, terms FROM chunks WHERE document = ANY(%s)", (ids,), binary=True).fetchall()
    for number, line in gone:
        segment.add(number, bytes(line).decode(), sign=-1)
    connection.execute("DELETE FROM vectors WHERE id = ANY(%s)", ([number for number, _ in gone],))
    connection.execute("DELETE FROM chunks WHERE document = ANY(%s)", (ids,))
    connection.execute("DELETE FROM documents WHERE id = ANY(%s)", (ids,))
    add_totals(connection, documents=-len(ids), chunks=-len(gone), removed=len(gone))
    return Removed(len(ids), [number for number, _ in gone])


def add_totals(
    connection: Connection, *, documents: int = 0, chunks: int = 0, terms: int = 0, removed: int = 0
) -> None:
    """Add to the numbers over all chunks."""
    connection.execute(
        "UPDATE totals SET documents = documents + %s, chunks = chunks + %s, terms = terms + %s,"
        " removed = removed + %s",
        (documents, chunks, terms, removed),
    )


def segments_of_all(connection: Connection) -> Iterator[SegmentBuilder]:
    """Iterate over the postings of all chunks, in segments of a size that fits in memory. Needs a transaction."""
    with connection.cursor(name="terms", binary=True) as cursor:
        cursor.itersize = _SEGMENT_CHUNKS
        cursor.execute("SELECT id, terms FROM chunks ORDER BY id")
        while found := cursor.fetchmany(_SEGMENT_CHUNKS):
            segment = SegmentBuilder()
            for number, line in found:
                segment.add(number, bytes(line).decode(), sign=1)
            yield segment


def insert_documents(connection: Connection, pending: Sequence[Pending]) -> list[int]:
    """Insert documents and return their ids."""
    rows = []
    for each in pending:
        document, metadata = each.document, json.dumps(dict(each.document.metadata), default=str)
        rows.append(
            (
                path_hash(document.path), document.path, document.updated, facts_of(metadata), each.state.content_hash,
                each.state.size, each.state.mtime_ns,
                record_of(document, DOCUMENT_COLUMNS, metadata=json.loads(metadata)),
                b"" if each.chunks else document.text.encode(),
            )
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO documents (path_hash, path, updated, facts, content_hash, size, mtime_ns, record, text)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            rows,
            returning=True,
        )
        return [int(result.fetchone()[0]) for result in cursor.results()]  # type: ignore[index]


def insert_chunks(
    connection: Connection, pending: Sequence[Pending], documents: Sequence[int], ids: Sequence[int]
) -> None:
    """Insert the chunks of documents under `ids`, one after the other, with vectors and token vectors."""
    numbers = iter(ids)
    rows = [
        row for each, document in zip(pending, documents, strict=True) for row in _chunk_rows(each, document, numbers)
    ]
    columns = (
        "id, document, ordinal, checksum, passage_hash, token_rows, token_count, record, text, passage, terms, codes"
    )
    with connection.cursor().copy(f"COPY chunks ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "int8", "int4", "int8", "bytea", "int4", "int4", *["bytea"] * 5])
        for row, _ in rows:
            copy.write_row(row)
    with connection.cursor().copy("COPY vectors (id, embedding) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "halfvec"])
        for row, vector in rows:
            copy.write_row((row[0], vector))


def _chunk_rows(each: Pending, document: int, ids: Iterator[int]) -> Iterator[tuple[tuple[Any, ...], HalfVector]]:
    vectors = each.encoded.vectors.astype(np.float16)
    tokens = each.encoded.tokens
    lengths = tokens.lengths.tolist() if tokens else [0] * len(each.chunks)
    counts = tokens.token_counts.tolist() if tokens else lengths
    codes = (
        np.split(tokens.rows, np.cumsum(tokens.lengths)[:-1]) if tokens and each.chunks else [None] * len(each.chunks)
    )
    stored = Encoded(vectors.astype(np.float32), tokens)
    checksums = row_checksums(stored, [chunk.text for chunk in each.chunks])
    for number, chunk in enumerate(each.chunks):
        code = codes[number]
        row = (
            next(ids), document, chunk.ordinal, checksums[number], passage_hash(chunk.passage),
            lengths[number], counts[number], record_of(chunk, CHUNK_COLUMNS), chunk.text.encode(),
            chunk.passage.encode(), each.terms[number].encode(),
            b"" if code is None else np.ascontiguousarray(code).tobytes(),
        )  # fmt: skip
        yield row, HalfVector(vectors[number])
