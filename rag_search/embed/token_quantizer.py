"""Quantize token vectors to three bits a dimension, as the index stores and the reranker reads them.

The components of a rotated unit vector of d dimensions follow nearly a normal distribution of variance 1/d, whatever
the text. So one table of eight levels, the one of least error for that distribution (Max, Quantizing for Minimum
Distortion, 1960), serves every dimension. Vectors are made unit again when they are read: rounding makes them some
hundredths too long or short, which would count most in the best matches. Three bits with three tokens in one vector
take the bytes of four bits with four tokens, and rank better: see training/MODEL_CARD.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_search.records import TokenVectors

_HALF = np.array([0.2451, 0.7560, 1.3439, 2.1520], np.float32)
BLOCK_ROWS = 512  # vectors: 256 kB, which stay in the cache of a core between unpacking and use
CODEBOOK = np.concatenate((-_HALF[::-1], _HALF))  # in standard deviations


def unpacked_dim(size: int) -> int:
    """Return the dimensions of a quantized vector of `size` bytes: the inverse of `packed_bytes`."""
    return size // 3 * 8


def rotate(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply rows (n, dim) by an orthogonal matrix, so that no column varies much more than another.

    Dot products stay the same. The matrix is Hadamard's, in blocks as large as divide `dim`: the same everywhere.
    """
    dim = vectors.shape[1]
    block = _hadamard(dim & -dim)
    parts = vectors.reshape(len(vectors), dim // len(block), len(block))
    return np.asarray(parts @ block, np.float32).reshape(-1, dim)


def quantize(units: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Quantize rotated unit rows float32 (n, dim) to codes (n, 3 dim / 8).

    Four columns make twelve bits, the first column in the lowest. A row has the low bytes of all fours, then the rest,
    two fours in a byte: reading needs no shift.
    """
    count, dim = units.shape
    codes = np.zeros((count, dim), np.uint8)
    for border in _borders(dim):  # a seventh of the time of np.searchsorted
        codes += units > border
    fours = codes.reshape(count, dim // 4, 4) @ np.array([1, 8, 64, 512], np.uint16)
    upper = fours >> 8
    return np.hstack((fours & 255, upper[:, ::2] | upper[:, 1::2] << 4)).astype(np.uint8)


class Block(NamedTuple):
    """Passages with token vectors, until the next block is taken.

    passages: their numbers (n,). starts, ends: their rows in `vectors`, (n,). vectors: float32 (rows, dim), as long as
    rounding made them. scales: the factors that make them unit, (rows,).
    """

    passages: NDArray[np.int64]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    vectors: NDArray[np.float32]
    scales: NDArray[np.float32]


def blocks(tokens: TokenVectors) -> Iterator[Block]:
    """Yield all passages that have token vectors, in blocks of about BLOCK_ROWS vectors."""
    ends = np.cumsum(tokens.lengths)
    longest = int(tokens.lengths.max(initial=0))
    buffer = np.empty((max(BLOCK_ROWS, longest), unpacked_dim(tokens.rows.shape[1])), np.float32)
    first = 0
    while first < len(ends):
        start = ends[first] - tokens.lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, start + BLOCK_ROWS, side="right")))
        filled = first + np.flatnonzero(tokens.lengths[first:last])
        if len(filled):
            vectors = _levels(tokens.rows[start : ends[last - 1]], buffer)
            after = ends[filled] - start
            yield Block(filled, after - tokens.lengths[filled], after, vectors, _scales(vectors))
        first = last


def dequantize(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the unit vectors float32 (n, dim) of codes (n, 3 dim / 8), nearly those that were quantized."""
    vectors = _levels(rows, np.empty((len(rows), unpacked_dim(rows.shape[1])), np.float32))
    vectors *= _scales(vectors)[:, None]
    return vectors


def _levels(rows: NDArray[np.uint8], buffer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the vectors float32 (n, dim) of codes (n, 3 dim / 8), as long as rounding made them.

    buffer: float32 (n or more, dim), which they are written to.
    """
    dim = buffer.shape[1]
    fours = np.take(_uppers(), rows[:, dim // 4 :], mode="clip").view(np.uint16)
    fours |= rows[:, : dim // 4]
    vectors = buffer[: len(rows)]
    np.take(_fours(dim), fours, mode="clip", out=vectors.view(np.complex128))
    return vectors


def _scales(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the factors (n,) that make vectors unit."""
    return np.asarray(1 / np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), np.float32)  # no level is zero


@cache
def _borders(dim: int) -> NDArray[np.float32]:
    """Return the borders between the levels, (7,)."""
    return np.asarray((CODEBOOK[1:] + CODEBOOK[:-1]) / 2 / np.sqrt(dim), np.float32)


@cache
def _fours(dim: int) -> NDArray[np.complex128]:
    """Return the values of twelve bits: four float32, looked up as if they were one complex128."""
    codes = np.arange(4096)[:, None] >> np.arange(0, 12, 3) & 7
    return np.ascontiguousarray(CODEBOOK[codes] / np.sqrt(dim), np.float32).view(np.complex128)[:, 0]


@cache
def _uppers() -> NDArray[np.uint32]:
    """Return the upper bits of the two fours of each byte: two uint16, looked up as if they were one uint32."""
    halves = np.stack((np.arange(256) & 15, np.arange(256) >> 4), axis=1) << 8
    return np.ascontiguousarray(halves, np.uint16).view(np.uint32)[:, 0]


@cache
def _hadamard(size: int) -> NDArray[np.float32]:
    """Return an orthogonal, symmetric matrix (size, size); size: a power of two."""
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return np.asarray(matrix / np.sqrt(size), np.float32)
