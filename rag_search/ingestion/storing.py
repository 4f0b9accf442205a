"""Documents to chunks to vectors to commits, a group of documents at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rag_search.chunking import chunk_document
from rag_search.embed.base import Embedder
from rag_search.errors import InputError
from rag_search.index import FileState, IndexWriter
from rag_search.ingestion.reports import Failure
from rag_search.lexical import terms
from rag_search.records import Chunk, Document, Encoded, TokenVectors

GROUP_CHUNKS = 256  # passages embedded between two commits: enough to batch by length, little to lose


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document with its chunks, ready to be embedded."""

    document: Document
    chunks: tuple[Chunk, ...]
    state: FileState


@dataclass
class Store:
    """Gathers documents into groups; a full group is embedded and committed. Counters are for the report."""

    writer: IndexWriter
    embedder: Embedder
    max_tokens: int
    paths: set[str] = field(default_factory=set)
    empty: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0
    _group: list[Prepared] = field(default_factory=list)
    _gathered: int = 0

    def add(self, document: Document, state: FileState) -> bool:
        """Chunk a document and queue it; True when that filled a group and it was committed."""
        chunks = chunk_document(document, count_tokens=self.embedder.count_tokens, max_tokens=self.max_tokens)
        self._group.append(Prepared(document, tuple(chunks), state))
        self._gathered += len(chunks)
        if self._gathered < GROUP_CHUNKS:
            return False
        self.flush()
        return True

    def flush(self) -> None:
        """Embed what is new among the queued documents and commit them."""
        group, self._group, self._gathered = self._group, [], 0
        if not group:
            return
        encoded = self._encode([chunk.passage for prepared in group for chunk in prepared.chunks])
        start = 0
        for prepared in group:
            stop = start + len(prepared.chunks)
            chunk_terms = [" ".join(terms(chunk.passage)) for chunk in prepared.chunks]
            rows = _rows(encoded, start, stop)
            start = stop
            try:
                self.writer.put(prepared.document, prepared.chunks, rows, chunk_terms, state=prepared.state)
            except InputError as error:  # text that the database cannot hold; the others go on
                self.failures.append(Failure(prepared.document.path, error.message))
                continue
            self._count(prepared)
        self.writer.commit()

    def _count(self, prepared: Prepared) -> None:
        self.paths.add(prepared.document.path)
        self.chunks += len(prepared.chunks)
        if not prepared.chunks:
            self.empty.append(prepared.document.path)

    def _encode(self, passages: Sequence[str]) -> Encoded:
        """Vectors of the passages, in order; a passage that the index has already is not embedded again."""
        known = dict(self.writer.stored(passages))
        fresh = [passage for passage in dict.fromkeys(passages) if passage not in known]
        if fresh:
            made = self.embedder.encode_documents(fresh)
            known.update({passage: _rows(made, row, row + 1) for row, passage in enumerate(fresh)})
            self.embedded += len(fresh)
            self.tokens += int(self.embedder.count_tokens(fresh).sum())
        return _joined([known[passage] for passage in passages], self.embedder)


def _rows(encoded: Encoded, start: int, stop: int) -> Encoded:
    """Rows `start:stop` of a batch, with their token vectors."""
    tokens = encoded.tokens
    if tokens is not None:
        first = int(tokens.lengths[:start].sum())
        last = first + int(tokens.lengths[start:stop].sum())
        tokens = TokenVectors(tokens.rows[first:last], tokens.lengths[start:stop])
    return Encoded(encoded.vectors[start:stop], tokens)


def _joined(parts: Sequence[Encoded], embedder: Embedder) -> Encoded:
    """Several batches as one; an empty one of the right widths when there are none."""
    vectors = [np.empty((0, embedder.dim), np.float32), *(part.vectors for part in parts)]
    if not embedder.token_dim:
        return Encoded(np.concatenate(vectors))
    tokens = [part.tokens for part in parts if part.tokens is not None]
    rows = [np.empty((0, embedder.token_dim), np.int8), *(token.rows for token in tokens)]
    lengths = [np.empty(0, np.int64), *(token.lengths for token in tokens)]
    return Encoded(np.concatenate(vectors), TokenVectors(np.concatenate(rows), np.concatenate(lengths)))
