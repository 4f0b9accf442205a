"""Define what an embedder is, and how texts are grouped into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rag_search.records import Encoded, EncodedQueries


@runtime_checkable
class Embedder(Protocol):
    """Text to unit vectors.

    name: for people ("multilingual-e5-small (builtin, int8)"). dim: columns of a vector. fingerprint: hash of
    everything that changes a vector (model, weights, dim, prefixes, pooling); an index made under one fingerprint is
    never read under another. token_dim: dimensions of a token vector, an even number; 0 if it makes none.
    follows_instructions: whether `instruction` changes the query vector.
    """

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def dim(self) -> int:
        """Columns of a vector."""
        ...

    @property
    def token_dim(self) -> int:
        """Dimensions of a token vector, 0 for none."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a vector."""
        ...

    @property
    def follows_instructions(self) -> bool:
        """Whether `instruction` changes the query vector."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the model's own tokens of each text, without prefix and special tokens: int64 (n,)."""
        ...

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        """Encode passages as float32 (n, dim) unit rows, in order, with token vectors if `token_dim`."""
        ...

    def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:
        """Return the vectors of the queries, in order, with token vectors if `token_dim`."""
        ...


@runtime_checkable
class VerifiesFiles(Protocol):
    """An embedder that can compare the files of its model with their digests."""

    def verify_files(self) -> None:
        """Raise EngineError for a damaged file."""
        ...


def batches(lengths: NDArray[np.int64], *, max_tokens: int, max_rows: int = 256) -> Iterator[NDArray[np.int64]]:
    """Yield indices of texts grouped by length, longest first, so that padding is small and memory has one bound.

    A batch has at most `max_rows` texts and `max_tokens` tokens after padding (a longer text is a batch of its own).
    """
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        rows = min(max_rows, max(1, max_tokens // longest))
        yield order[start : start + rows]
        start += rows
