"""Groups of documents to vectors to commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.embed.token_quantizer import packed_bytes
from rag_search.errors import InputError
from rag_search.index import IndexWriter
from rag_search.ingest.prepare import Group, Prepared
from rag_search.ingest.reports import Failure
from rag_search.records import Encoded, TokenVectors


@dataclass
class Store:
    """Embeds and commits a group at a time. Counters are for the report."""

    writer: IndexWriter
    embedder: Embedder
    paths: set[str] = field(default_factory=set)
    empty: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    unchanged: int = 0
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0

    def put(self, group: Group) -> None:
        """Embed what is new among the passages of the group and commit its documents."""
        self.failures += group.failures
        self.unchanged += group.unchanged
        documents = group.documents
        encoded = self._encode([chunk.passage for prepared in documents for chunk in prepared.chunks])
        start = 0
        for prepared in documents:
            stop = start + len(prepared.chunks)
            rows = _rows(encoded, start, stop)
            start = stop
            try:
                self.writer.put(prepared.document, prepared.chunks, rows, prepared.terms, state=prepared.state)
            except InputError as error:  # text that the database cannot hold; the others go on
                self.failures.append(Failure.of(prepared.document.path, error))
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
            lengths = made.tokens.lengths if made.tokens else self.embedder.count_tokens(fresh)
            self.tokens += int(lengths.sum())
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
    rows = [np.empty((0, packed_bytes(embedder.token_dim)), np.uint8), *(token.rows for token in tokens)]
    lengths = [np.empty(0, np.int64), *(token.lengths for token in tokens)]
    return Encoded(np.concatenate(vectors), TokenVectors(np.concatenate(rows), np.concatenate(lengths)))
