"""Vectors and token vectors of passages and queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatMatrix = NDArray[np.float32]
    FloatVector = NDArray[np.float32]
    CountTokens = Callable[[Sequence[str]], NDArray[np.int64]]  # texts to their lengths in tokens, (n,)
else:  # a query that a warm server answers never needs NumPy, and importing it takes longer than the answer
    FloatMatrix = FloatVector = "NDArray[np.float32]"
    CountTokens = "Callable[[Sequence[str]], NDArray[np.int64]]"


def packed_bytes(token_dim: int) -> int:
    """Return the bytes of a token vector in TokenVectors: three bits a dimension. token_dim: a multiple of eight."""
    return token_dim // 8 * 3


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """Token vectors of n passages, one after the other.

    rows: uint8 (total, packed_bytes(token_dim)), see rag_search.embed.token_quantizer.
    lengths: int64 (n,), rows of each passage; sums to total.
    counts: int64 (n,), tokens of each passage before pooling; None: each token has a row.
    """

    rows: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    counts: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if int(self.lengths.sum()) != len(self.rows):
            raise ValueError(f"{int(self.lengths.sum())} rows announced, {len(self.rows)} given")

    @property
    def token_counts(self) -> NDArray[np.int64]:
        """Tokens of each passage, int64 (n,)."""
        return self.lengths if self.counts is None else self.counts

    def part(self, start: int, stop: int) -> TokenVectors:
        """Return the token vectors of the passages `start:stop`."""
        first = int(self.lengths[:start].sum())
        last = first + int(self.lengths[start:stop].sum())
        return TokenVectors(self.rows[first:last], self.lengths[start:stop], self.token_counts[start:stop])


@dataclass(frozen=True, slots=True)
class Encoded:
    """The encoded form of n passages.

    vectors: float32 (n, dim) unit rows. tokens: None if the embedder makes no token vectors.
    """

    vectors: FloatMatrix
    tokens: TokenVectors | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens.lengths) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} vectors, but token vectors of {len(self.tokens.lengths)} texts")


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """The encoded form of one query.

    vector: float32 (dim,), of length 1. tokens: float32 (t, token_dim) unit rows; None if the embedder makes none.
    """

    text: str
    vector: FloatVector
    tokens: FloatMatrix | None = None


@dataclass(frozen=True, slots=True)
class EncodedQueries:
    """The encoded form of n queries.

    vectors: float32 (n, dim) unit rows. tokens: the token vectors of each query, float32 (t, token_dim) unit rows;
    None if the embedder makes none.
    """

    vectors: FloatMatrix
    tokens: tuple[FloatMatrix, ...] | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} vectors, but token vectors of {len(self.tokens)} queries")

    def each(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Return the queries one by one. texts: the n texts that were encoded."""
        tokens = self.tokens or (None,) * len(self.vectors)
        return [EncodedQuery(*parts) for parts in zip(texts, self.vectors, tokens, strict=True)]
