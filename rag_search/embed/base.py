"""What an embedder is. Backends encode one batch; `batches` decides what a batch is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag_search.records import Encoded, FloatMatrix


@runtime_checkable
class Embedder(Protocol):
    """Text to unit vectors.

    name: for people ("multilingual-e5-small (builtin, int8)"). dim: columns of a vector.
    fingerprint: hash of everything that changes a vector (model, weights, dim, prefixes, pooling); an index made
    under one fingerprint is never read under another. token_dim: dimensions of a token vector, an even number, 0 when
    it makes none.
    follows_instructions: whether `instruction` changes the query vector.
    """

    @property
    def name(self) -> str: ...
    @property
    def dim(self) -> int: ...
    @property
    def token_dim(self) -> int: ...
    @property
    def fingerprint(self) -> str: ...
    @property
    def follows_instructions(self) -> bool: ...

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Length of each text in the model's own tokens, without prefix and special tokens: int64 (n,)."""
        ...

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        """Passages to float32 (n, dim) unit rows, in order, with token vectors if `token_dim`."""
        ...

    def embed_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> FloatMatrix:
        """Queries to float32 (n, dim) unit rows."""
        ...


@runtime_checkable
class CachesQueries(Protocol):
    """An embedder that keeps the vectors of the last queries."""

    def clear_query_cache(self) -> None:
        """Encode the next query anew, as a measurement wants."""
        ...


def batches(lengths: NDArray[np.int64], *, max_tokens: int, max_rows: int = 256) -> Iterator[NDArray[np.int64]]:
    """Indices of texts grouped by length, longest first, so that padding is small and memory has one bound.

    A batch holds at most `max_rows` texts and `max_tokens` tokens after padding (a longer text stands alone).
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        rows = min(max_rows, max(1, max_tokens // longest))
        yield order[start : start + rows]
        start += rows
