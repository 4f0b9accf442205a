"""A small world for the store: an embedder whose vectors follow from the text, documents made of words, an oracle."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rag_search.index import FileState, IndexManifest, IndexReader, IndexWriter
from rag_search.records import Chunk, Document, Encoded, FloatMatrix, TokenVectors, packed_bytes

DIM, TOKEN_DIM = 16, 8
MANIFEST = IndexManifest("fake", "f" * 64, DIM, TOKEN_DIM, "1")


def encode(passages: Sequence[str]) -> Encoded:
    """Vectors that depend on the text alone, so that anyone can say what an index must hold."""
    made = [_random(passage) for passage in passages]
    if not made:
        return Encoded(
            np.empty((0, DIM), np.float32),
            TokenVectors(np.empty((0, packed_bytes(TOKEN_DIM)), np.uint8), np.empty(0, int)),
        )
    lengths = np.array([len(tokens) for _, tokens in made], np.int64)
    tokens = TokenVectors(np.concatenate([t for _, t in made]), lengths, 3 * lengths + 1)
    return Encoded(np.stack([vector for vector, _ in made]), tokens)


def _random(passage: str) -> tuple[Any, Any]:
    random = np.random.default_rng(list(hashlib.sha256(passage.encode()).digest()))
    vector = random.standard_normal(DIM).astype(np.float32)
    tokens = random.integers(0, 256, (int(random.integers(0, 5)), packed_bytes(TOKEN_DIM))).astype(np.uint8)
    return vector / np.linalg.norm(vector), tokens


@dataclass(frozen=True)
class Item:
    """Everything `IndexWriter.put` takes."""

    document: Document
    chunks: tuple[Chunk, ...]
    encoded: Encoded
    terms: tuple[str, ...]
    state: FileState

    @property
    def path(self) -> str:
        return self.document.path


def item(
    path: str, texts: Sequence[str], *, metadata: Mapping[str, Any] | None = None, updated: str = "", rest: str = ""
) -> Item:
    """A document with one chunk per text. rest: text of a document without chunks."""
    title = f"Title of {path}"
    chunks, position = [], 0
    for ordinal, text in enumerate(texts):
        chunks.append(
            Chunk(
                path=path,
                title=title,
                ordinal=ordinal,
                text=text,
                heading_path=("Part", f"Section {ordinal}"),
                start=position,
                end=position + len(text),
                line_start=ordinal + 1,
                line_end=ordinal + 1,
                passage=f"{title}\n{text}",
            )
        )
        position += len(text)
    content = "".join(texts) + rest
    digest = hashlib.sha256(content.encode()).hexdigest()
    return Item(
        Document(path, title, content, dict(metadata or {}), updated, digest),
        tuple(chunks),
        encode([chunk.passage for chunk in chunks]),
        tuple(chunk.text.lower() for chunk in chunks),
        FileState(len(content.encode()), 1_700_000_000_000_000_000, digest),
    )


def put(writer: IndexWriter, items: Iterable[Item]) -> None:
    for each in items:
        writer.put(each.document, each.chunks, each.encoded, each.terms, state=each.state)


def random_unit(rows: int, dim: int = DIM, *, seed: int = 0) -> FloatMatrix:
    made = np.random.default_rng(seed).standard_normal((rows, dim)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def stored(vectors: FloatMatrix) -> FloatMatrix:
    """Return vectors as an index returns them: float32 of float16."""
    return vectors.astype(np.float16).astype(np.float32)


def assert_holds(reader: IndexReader, expected: Mapping[str, Item]) -> None:
    """The reader shows exactly these documents, with their chunks, vectors and token vectors, and finds them."""
    assert reader.documents() == sorted(expected)
    assert reader.counts.chunks == sum(len(each.chunks) for each in expected.values())
    for path, each in expected.items():
        assert reader.document(path) == each.document
        chunks = reader.document_chunks(path)
        ids = [chunk.chunk_id for chunk in chunks]
        assert [(c.text, c.passage, c.start, c.end, c.heading_path, c.line_start) for c in chunks] == [
            (c.text, c.passage, c.start, c.end, c.heading_path, c.line_start) for c in each.chunks
        ]
        assert each.encoded.tokens is not None
        np.testing.assert_array_equal(reader.vectors(ids), stored(each.encoded.vectors))
        tokens = reader.token_vectors(ids)
        np.testing.assert_array_equal(tokens.rows, each.encoded.tokens.rows)
        np.testing.assert_array_equal(tokens.lengths, each.encoded.tokens.lengths)
        np.testing.assert_array_equal(tokens.token_counts, each.encoded.tokens.token_counts)
    _assert_found(reader, expected)


def _assert_found(reader: IndexReader, expected: Mapping[str, Item]) -> None:
    """Dense search ranks like NumPy over the expected rows, and every word finds the chunks that hold it."""
    rows = [(each, chunk, i) for each in expected.values() for i, chunk in enumerate(each.chunks)]
    query = random_unit(1, seed=7)
    ids, scores = reader.search_dense(query, len(rows) + 3)
    truth = np.sort([float(stored(each.encoded.vectors)[i] @ query[0]) for each, _, i in rows])[::-1]
    np.testing.assert_allclose(scores[0, : len(rows)], truth, atol=1e-5)
    assert (ids[0, len(rows) :] == -1).all()
    words = {word for each, chunk, _ in rows for word in chunk.text.lower().split() if word.isprintable()}
    for word in sorted(words)[:20]:
        found, _ = reader.search_lexical([word], len(rows))
        holders = [(chunk.path, chunk.ordinal) for _, chunk, _ in rows if word in chunk.text.lower().split()]
        assert sorted((chunk.path, chunk.ordinal) for chunk in reader.chunks(found.tolist())) == sorted(holders)


def set_version(folder: Path, version: int) -> None:
    """Make the index one of another schema version."""
    database = sqlite3.connect(folder / "meta.db", isolation_level=None)
    (manifest,) = database.execute("SELECT value FROM meta WHERE key = 'manifest'").fetchone()
    changed = json.dumps(json.loads(manifest) | {"schema_version": version})
    database.execute("UPDATE meta SET value = ? WHERE key = 'manifest'", (changed,))
    database.close()
