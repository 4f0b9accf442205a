"""Convert records to SQL rows and back: the only module that knows the columns of documents and chunks."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import InputError
from rag_search.index.store.layout import FileState, IndexManifest
from rag_search.index.store.packing import Texts, pack, unpack
from rag_search.index.store.sums import write_document_sum
from rag_search.records import Chunk, Document, Encoded, FloatMatrix

FILES_BATCH = 5000
PLACES = "id, token_start, token_rows, token_count"  # of the rows of a chunk, see encodings.read_encoded
_CHUNK_COLUMNS = """chunks.id, path, title, ordinal, start, end, line_start, line_end, packed
    FROM chunks JOIN documents ON documents.id = chunks.document"""


def passage_hash(passage: str) -> bytes:
    """Return 128 bits of SHA-256, which identify a passage."""
    return hashlib.sha256(passage.encode()).digest()[:16]


def check_document(
    document: Document,
    chunks: Sequence[Chunk],
    encoded: Encoded,
    terms: Sequence[str],
    *,
    manifest: IndexManifest,
    pending: Sequence[int] = (),
) -> None:
    """Raise InputError for text that UTF-8 cannot hold, ValueError when the parts do not fit together.

    pending: places of chunks without vectors.
    """
    if not len(chunks) == len(encoded.vectors) == len(terms):
        raise ValueError(f"{len(chunks)} chunks, {len(encoded.vectors)} vectors, {len(terms)} term strings")
    if chunks and "".join(chunk.text for chunk in chunks) != document.text:
        raise ValueError(f"the chunks of {document.path} do not partition its text")
    if encoded.vectors.shape[1] != manifest.dim:
        raise ValueError(f"vectors of {encoded.vectors.shape[1]} columns, the index has {manifest.dim}")
    token_columns = encoded.tokens.rows.shape[1] if encoded.tokens else 0
    if token_columns != manifest.token_bytes:
        raise ValueError(f"token vectors of {token_columns} bytes, the index has {manifest.token_bytes}")
    require_unit(np.delete(encoded.vectors, list(pending), axis=0), document.path)
    try:
        for text in (document.path, document.title, document.text, *(chunk.passage for chunk in chunks), *terms):
            text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{document.path} holds half a surrogate pair, which is not text: {error.reason}.") from error


def require_unit(vectors: FloatMatrix, place: str) -> None:
    """Raise ValueError unless all vectors (n, dim) have length 1. place: whose they are."""
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1)
    if not np.allclose(norms, 1, atol=1e-3):  # false for NaN too
        raise ValueError(f"the vectors of {place} are not unit vectors")


def insert_document(database: sqlite3.Connection, document: Document, *, state: FileState, empty: bool) -> int:
    """Insert a document and return its id. empty: it has no chunks, so its text is stored with it."""
    cursor = database.execute(
        "INSERT INTO documents"
        " (path, title, metadata, updated, updated_from, format, content_hash, size, mtime_ns, text)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            document.path,
            document.title,
            json.dumps(dict(document.metadata), default=str),
            document.updated,
            document.updated_from,
            document.format,
            state.content_hash,
            state.size,
            state.mtime_ns,
            document.text if empty else "",
        ),
    )
    return int(cursor.lastrowid or 0)


def insert_chunks(
    database: sqlite3.Connection,
    document: int,
    chunks: Sequence[Chunk],
    encoded: Encoded,
    terms: Sequence[str],
    *,
    checksums: Sequence[int],
    first_row: int,
    first_token: int,
) -> None:
    """Insert the chunks of a document, which is complete then. document: its id.

    first_row, first_token: rows of the first vector and of the first token vector in their segments.
    """
    lengths = encoded.tokens.lengths.tolist() if encoded.tokens else [0] * len(chunks)
    counts = encoded.tokens.token_counts.tolist() if encoded.tokens else lengths
    starts = [0, *np.cumsum(lengths, dtype=np.int64).tolist()]
    database.executemany(
        f"INSERT INTO chunks VALUES ({', '.join('?' * 13)})",
        (
            (first_row + i, document, i, chunk.start, chunk.end, chunk.line_start, chunk.line_end,
             first_token + starts[i], lengths[i], counts[i], checksums[i], passage_hash(chunk.passage),
             pack(Texts(chunk.text, chunk.passage, terms[i], chunk.heading_path, chunk.passage_lines)))
            for i, chunk in enumerate(chunks)
        ),
    )  # fmt: skip
    write_document_sum(database, document)


def touch_document(database: sqlite3.Connection, path: str, state: FileState) -> None:
    """Record another state of the file of a document, if it exists."""
    changed = database.execute(
        "UPDATE documents SET size = ?, mtime_ns = ?, content_hash = ? WHERE path = ? RETURNING id",
        (state.size, state.mtime_ns, state.content_hash, path),
    ).fetchone()
    if changed:
        write_document_sum(database, changed[0])


def delete_document(database: sqlite3.Connection, path: str) -> None:
    """Delete a document and its chunks if it exists; triggers record its deleted rows and remove its terms."""
    database.execute("DELETE FROM chunks WHERE document = (SELECT id FROM documents WHERE path = ?)", (path,))
    database.execute("DELETE FROM documents WHERE path = ?", (path,))


def load_chunks(database: sqlite3.Connection, ids: Sequence[int]) -> tuple[list[Chunk], NDArray[np.int64], list[int]]:
    """Load chunks in the order of `ids`, with the places of their rows, (n, 4), and their checksums.

    Raises KeyError for an unknown id.
    """
    query = f"SELECT token_start, token_rows, token_count, checksum, {_CHUNK_COLUMNS}"
    rows = database.execute(f"{query} WHERE chunks.id IN (SELECT value FROM json_each(?))", (json_list(ids),))
    found = {row[4]: row for row in rows}
    ordered = [found[int(chunk_id)] for chunk_id in ids]
    places = np.array([(row[4], *row[:3]) for row in ordered], np.int64).reshape(-1, 4)
    return [_chunk(row[4:]) for row in ordered], places, [row[3] for row in ordered]


def load_term_lines(database: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    """Load the terms of chunks, in the order of `ids`. Raises KeyError for an unknown id."""
    rows = database.execute(
        "SELECT id, packed FROM chunks WHERE id IN (SELECT value FROM json_each(?))", (json_list(ids),)
    )
    lines = {number: unpack(packed).terms for number, packed in rows}
    return [lines[int(chunk_id)] for chunk_id in ids]


def iterate_files(lend: Callable[[], AbstractContextManager[sqlite3.Connection]]) -> Iterator[tuple[str, FileState]]:
    """Iterate over the documents by path, with the state of their files, FILES_BATCH in memory at a time.

    lend: lends the connection for one query; it is free while the caller works.
    """
    query = "SELECT path, size, mtime_ns, content_hash FROM documents"
    last: str | None = None
    while True:
        where = "" if last is None else "WHERE path > :last"
        with lend() as database:
            rows = database.execute(f"{query} {where} ORDER BY path LIMIT {FILES_BATCH}", {"last": last}).fetchall()
        for path, size, mtime_ns, digest in rows:
            yield path, FileState(size, mtime_ns, digest)
        if len(rows) < FILES_BATCH:
            return
        last = rows[-1][0]


def load_document(database: sqlite3.Connection, path: str) -> Document | None:
    """Load the document at `path`; None if there is none."""
    row = database.execute(
        "SELECT id, title, metadata, updated, updated_from, format, content_hash, text FROM documents WHERE path = ?",
        (path,),
    ).fetchone()
    if row is None:
        return None
    document, title, metadata, updated, updated_from, file_format, content_hash, text = row
    parts = database.execute("SELECT packed FROM chunks WHERE document = ? ORDER BY ordinal", (document,))
    return Document(
        path=path,
        title=title,
        text="".join((text, *(unpack(packed).text for (packed,) in parts))),
        metadata=json.loads(metadata),
        updated=updated,
        content_hash=content_hash,
        format=file_format,
        updated_from=updated_from,
    )


def chunks_of(database: sqlite3.Connection, path: str) -> Iterator[Chunk]:
    """Load the chunks of a document in reading order."""
    rows = database.execute(f"SELECT {_CHUNK_COLUMNS} WHERE path = ? ORDER BY ordinal", (path,))
    return (_chunk(row) for row in rows.fetchall())


def places_of(database: sqlite3.Connection, ids: Sequence[int]) -> NDArray[np.int64]:
    """Load the places of the rows of chunks, (n, 4), in the order of `ids`. Raises KeyError for an unknown id."""
    rows = database.execute(
        f"SELECT {PLACES} FROM chunks WHERE id IN (SELECT value FROM json_each(?))", (json_list(ids),)
    )
    places = {row[0]: row for row in rows}
    return np.array([places[int(chunk_id)] for chunk_id in ids], np.int64).reshape(-1, 4)


def json_list(ids: Sequence[int]) -> str:
    """Return ids as one value to bind, so that any number of them fits."""
    return json.dumps([int(i) for i in ids])


def _chunk(row: tuple[Any, ...]) -> Chunk:
    chunk_id, path, title, ordinal, start, end, line_start, line_end, packed = row
    texts = unpack(packed)
    return Chunk(
        path=path,
        title=title,
        ordinal=ordinal,
        text=texts.text,
        heading_path=texts.heading_path,
        start=start,
        end=end,
        line_start=line_start,
        line_end=line_end,
        passage=texts.passage,
        chunk_id=chunk_id,
        passage_lines=texts.passage_lines,
    )
