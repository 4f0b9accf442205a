"""Store the texts of a large tree before any vector: everything is found by its words within seconds.

    documents with their terms -> commit -> ... -> passages without vectors, in order -> encode -> commit

An interrupted run leaves chunks without vectors, and the next run goes on with them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from typing import NamedTuple

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.index import StagedStore
from rag_search.ingest.encode import EncodedGroup, Stored, encode_passages, join
from rag_search.ingest.prepare import GROUP_CHUNKS, Group
from rag_search.records import Encoded, TokenVectors, packed_bytes
from rag_search.runtime.threads import Prefetcher


class Completed(NamedTuple):
    """Passages that got their vectors in one commit: how many, how many the model read, and their tokens."""

    passages: int
    embedded: int
    tokens: int


def without_vectors(groups: Iterable[Group], embedder: Embedder, stored: Stored) -> Generator[EncodedGroup, None, None]:
    """Yield each group with zeros for the passages that the index does not have encoded."""
    zeros = _zeros(embedder)
    with closing(Prefetcher(groups)) as prefetched:
        for group in prefetched:
            documents = [[chunk.passage for chunk in prepared.chunks] for prepared in group.documents]
            known = stored([passage for document in documents for passage in document])
            parts = ([known.get(passage, zeros) for passage in document] for document in documents)
            encoded = tuple(join(part, embedder) for part in parts)
            pending = tuple(
                tuple(place for place, passage in enumerate(document) if passage not in known) for document in documents
            )
            yield EncodedGroup(group, encoded, pending=pending)


def complete(
    writer: StagedStore, embedder: Embedder, on_tokens: Callable[[int], None] = lambda _: None
) -> Iterator[Completed]:
    """Encode the passages of the index that have no vectors, in order, and yield after each commit."""
    while waiting := writer.pending(GROUP_CHUNKS):
        passages = [passage for _, passage in waiting]
        known, embedded, tokens = encode_passages(embedder, passages, writer.stored, on_tokens)
        encoded = join([known[passage] for passage in passages], embedder)
        writer.complete([chunk_id for chunk_id, _ in waiting], encoded)
        writer.commit()
        yield Completed(len(waiting), embedded, tokens)


def _zeros(embedder: Embedder) -> Encoded:
    """Return the encoded form of a passage whose vectors are still to be made: one row."""
    vectors = np.zeros((1, embedder.dim), np.float32)
    if not embedder.token_dim:
        return Encoded(vectors)
    nothing = np.zeros(1, np.int64)
    return Encoded(vectors, TokenVectors(np.empty((0, packed_bytes(embedder.token_dim)), np.uint8), nothing, nothing))
