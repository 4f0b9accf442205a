"""Records to rows and back: what is read of documents and chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields
from hashlib import sha256
from typing import Any

import numpy as np

from rag_search.index.postgres.connection import Connection
from rag_search.index.store.layout import FileState
from rag_search.index.store.rows import passage_hash
from rag_search.records import Chunk, Document, Encoded, FloatMatrix, TokenVectors

DOCUMENT_COLUMNS = ("path", "metadata", "updated", "content_hash", "text")  # fields with a column of their own
CHUNK_COLUMNS = ("path", "title", "ordinal", "text", "passage", "chunk_id")
_CHUNK_QUERY = """SELECT c.id, d.path, d.record, c.ordinal, c.record, c.text, c.passage
    FROM chunks c JOIN documents d ON d.id = c.document"""


def path_hash(path: str) -> bytes:
    """Return what documents are found by."""
    return sha256(path.encode("utf-8", "surrogatepass")).digest()[:16]


def load_chunks(connection: Connection, ids: Sequence[int]) -> list[Chunk]:
    """Return chunks in the order of `ids`. Raises KeyError for an id that is not there."""
    rows = connection.execute(f"{_CHUNK_QUERY} WHERE c.id = ANY(%s)", (list(map(int, ids)),), binary=True)
    found = {row[0]: _chunk(row) for row in rows}
    return [found[int(chunk_id)] for chunk_id in ids]


def chunks_of(connection: Connection, path: str) -> list[Chunk]:
    """Return the chunks of a document in reading order."""
    rows = connection.execute(
        f"{_CHUNK_QUERY} WHERE d.path_hash = %s ORDER BY c.ordinal", (path_hash(path),), binary=True
    )
    return [_chunk(row) for row in rows]


def iterate_files(connection: Connection) -> Iterator[tuple[str, FileState]]:
    """Iterate over all documents by path, a few thousand in memory at a time. Needs an open transaction."""
    with connection.cursor(name="files") as cursor:
        cursor.itersize = 5000
        cursor.execute("SELECT path, size, mtime_ns, content_hash FROM documents ORDER BY path")
        for path, size, mtime_ns, content_hash in cursor:
            yield path, FileState(size, mtime_ns, content_hash)


def load_document(connection: Connection, path: str) -> Document | None:
    """Return a document, None when there is none of this path."""
    row = connection.execute(
        "SELECT id, path, updated, content_hash, record, text FROM documents WHERE path_hash = %s",
        (path_hash(path),),
        binary=True,
    ).fetchone()
    if row is None:
        return None
    number, path, updated, content_hash, record, text = row
    parts = connection.execute("SELECT text FROM chunks WHERE document = %s ORDER BY ordinal", (number,), binary=True)
    content = b"".join((bytes(text), *(bytes(part) for (part,) in parts))).decode()
    others = fields_of(record)
    return Document(path=path, updated=updated, content_hash=content_hash, text=content, **others)


def content_hashes(connection: Connection, paths: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256 of the bytes of each of these documents that is there."""
    rows = connection.execute(
        "SELECT path, content_hash FROM documents WHERE path_hash = ANY(%s)", ([path_hash(path) for path in paths],)
    )
    return dict(rows.fetchall())


def load_vectors(connection: Connection, ids: Sequence[int]) -> dict[int, Any]:
    """Return float32 (dim,) by chunk id; ids that are not there are left out."""
    rows = connection.execute(
        "SELECT id, embedding FROM vectors WHERE id = ANY(%s)", (list(map(int, ids)),), binary=True
    )
    return {number: vector.to_numpy().astype(np.float32) for number, vector in rows}


def load_tokens(connection: Connection, ids: Sequence[int], width: int) -> TokenVectors:
    """Return token vectors in the order of `ids`, rows of `width` bytes. Raises KeyError."""
    rows = connection.execute(
        "SELECT id, token_rows, token_count, codes FROM chunks WHERE id = ANY(%s)", (list(map(int, ids)),), binary=True
    )
    found = {number: (length, count, bytes(codes)) for number, length, count, codes in rows}
    wanted = [found[int(number)] for number in ids]
    data = np.frombuffer(b"".join(codes for _, _, codes in wanted), np.uint8).reshape(-1, width)
    lengths, counts = ([each[part] for each in wanted] for part in (0, 1))
    return TokenVectors(data, np.array(lengths, np.int64), np.array(counts, np.int64))


def load_term_lines(connection: Connection, ids: Sequence[int]) -> list[str]:
    """Return the terms of chunks, in the order of `ids`. Raises KeyError for an id that is not there."""
    rows = connection.execute("SELECT id, terms FROM chunks WHERE id = ANY(%s)", (list(map(int, ids)),), binary=True)
    lines = {number: bytes(line).decode() for number, line in rows}
    return [lines[int(chunk_id)] for chunk_id in ids]


def load_encoded(connection: Connection, passages: Sequence[str], width: int) -> dict[str, Encoded]:
    """Return what is stored for those of `passages` that some chunk holds, one row each. width: of a token vector."""
    by_hash = {passage_hash(passage): passage for passage in passages}
    rows = connection.execute(
        "SELECT DISTINCT ON (passage_hash) passage_hash, embedding, token_rows, token_count, codes"
        " FROM chunks JOIN vectors USING (id) WHERE passage_hash = ANY(%s) ORDER BY passage_hash, id",
        (list(by_hash),),
        binary=True,
    )
    found = {}
    for digest, vector, length, count, codes in rows:
        tokens = (
            TokenVectors(
                np.frombuffer(bytes(codes), np.uint8).reshape(-1, width), np.array([length]), np.array([count])
            )
            if width
            else None
        )
        found[by_hash[bytes(digest)]] = Encoded(vector.to_numpy().astype(np.float32)[None], tokens)
    return found


def matrix(rows: Sequence[Any], dim: int) -> FloatMatrix:
    """Return vectors as one float32 matrix."""
    return np.array(rows, np.float32).reshape(-1, dim)


def record_of(value: Document | Chunk, columns: Sequence[str], **more: Any) -> bytes:
    """Return the fields without a column as JSON."""
    others = {field.name: getattr(value, field.name) for field in fields(value) if field.name not in columns}
    return json.dumps({**others, **more}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def fields_of(record: bytes | memoryview) -> dict[str, Any]:
    """Return the fields of a record; lists become tuples, as records hold them."""
    values = json.loads(bytes(record).decode("utf-8", "surrogatepass"))
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _chunk(row: tuple[Any, ...]) -> Chunk:
    number, path, document, ordinal, record, text, passage = row
    return Chunk(
        path=path,
        title=json.loads(bytes(document).decode("utf-8", "surrogatepass"))["title"],
        ordinal=ordinal,
        text=bytes(text).decode(),
        passage=bytes(passage).decode(),
        chunk_id=number,
        **fields_of(record),
    )
