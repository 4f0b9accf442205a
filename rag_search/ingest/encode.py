"""Encode groups of documents: here, or elsewhere behind the same interface."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rag_search.documents import SourceFile
from rag_search.embed.base import Embedder
from rag_search.ingest.prepare import Group
from rag_search.ingest.reports import IngestOptions
from rag_search.records import Encoded, TokenVectors, packed_bytes
from rag_search.runtime.threads import Prefetcher

BATCH_PASSAGES = 32  # between two reports of progress: a second of a laptop
Stored = Callable[[Sequence[str]], Mapping[str, Encoded]]  # passages to the encoded form of those that the index has


@dataclass(frozen=True, slots=True)
class EncodedGroup:
    """A group with the encoded form of its documents, one for each of `group.documents`.

    embedded: passages that the model read; tokens: theirs. pending: for each document the places of passages without
    vectors, whose rows are zeros.
    """

    group: Group
    encoded: tuple[Encoded, ...]
    embedded: int = 0
    tokens: int = 0
    pending: tuple[tuple[int, ...], ...] = ()


class Encoder(Protocol):
    """Encodes groups of documents, in this process or elsewhere."""

    def encode(self, groups: Iterable[Group], stored: Stored) -> Generator[EncodedGroup, None, None]:
        """Yield each group with its encoded documents, in order.

        A document that cannot be encoded comes back as a Failure in the items of its group. stored: reads what the
        index has; the caller commits a group before it asks for the next one. Raises EngineError when the model fails.
        """
        ...


class FileEncoder(Protocol):
    """Reads, chunks and encodes files, on machines that see the same folders."""

    def encode_files(
        self, sources: Sequence[SourceFile], options: IngestOptions
    ) -> Generator[EncodedGroup, None, None]:
        """Yield files in groups with their encoded documents, in any order, each file once."""
        ...


@dataclass(frozen=True)
class LocalEncoder:
    """Encoder in this process; a background thread reads and chunks the next group meanwhile.

    on_tokens: called with the tokens of each batch when it is embedded.
    """

    embedder: Embedder
    on_tokens: Callable[[int], None] = lambda _: None

    def encode(self, groups: Iterable[Group], stored: Stored) -> Generator[EncodedGroup, None, None]:
        """Yield each group with its encoded documents; see Encoder."""
        with closing(Prefetcher(groups)) as prefetched:
            for group in prefetched:
                yield encode_group(self.embedder, group, stored, self.on_tokens)


def encode_group(
    embedder: Embedder, group: Group, stored: Stored, on_tokens: Callable[[int], None] = lambda _: None
) -> EncodedGroup:
    """Encode the passages of a group that the index does not have.

    An embedder with token vectors reads its texts one by one, so that small batches cost nothing and show progress.
    """
    documents = [[chunk.passage for chunk in prepared.chunks] for prepared in group.documents]
    passages = [passage for document in documents for passage in document]
    known, fresh, tokens = encode_passages(embedder, passages, stored, on_tokens)
    parts = tuple(join([known[passage] for passage in document], embedder) for document in documents)
    return EncodedGroup(group, parts, fresh, tokens)


def encode_passages(
    embedder: Embedder, passages: Sequence[str], stored: Stored, on_tokens: Callable[[int], None]
) -> tuple[dict[str, Encoded], int, int]:
    """Return the encoded form of each passage, how many the model read, and their tokens."""
    known = dict(stored(passages))
    fresh = [passage for passage in dict.fromkeys(passages) if passage not in known]
    tokens = 0
    size = BATCH_PASSAGES if embedder.token_dim else len(fresh)
    for start in range(0, len(fresh), size or 1):
        batch = fresh[start : start + size]
        encoded = embedder.encode_documents(batch)
        known.update({passage: _rows(encoded, row, row + 1) for row, passage in enumerate(batch)})
        counts = encoded.tokens.token_counts if encoded.tokens else embedder.count_tokens(batch)
        tokens += int(counts.sum())
        on_tokens(int(counts.sum()))
    return known, len(fresh), tokens


def _rows(encoded: Encoded, start: int, stop: int) -> Encoded:
    """Return the rows `start:stop` of a batch with their token vectors."""
    return Encoded(encoded.vectors[start:stop], encoded.tokens and encoded.tokens.part(start, stop))


def join(parts: Sequence[Encoded], embedder: Embedder) -> Encoded:
    """Join batches to one; without any, return an empty one of the embedder's widths."""
    vectors = [np.empty((0, embedder.dim), np.float32), *(part.vectors for part in parts)]
    if not embedder.token_dim:
        return Encoded(np.concatenate(vectors))
    tokens = [part.tokens for part in parts if part.tokens is not None]
    rows = [np.empty((0, packed_bytes(embedder.token_dim)), np.uint8), *(token.rows for token in tokens)]
    lengths = np.concatenate([np.empty(0, np.int64), *(token.lengths for token in tokens)])
    counts = np.concatenate([np.empty(0, np.int64), *(token.token_counts for token in tokens)])
    return Encoded(np.concatenate(vectors), TokenVectors(np.concatenate(rows), lengths, counts))
