"""Merge the token vectors of a passage, three to one: a third of the bytes, and of the products of reranking.

Tokens that say nearly the same become one vector (Clavié et al., arXiv 2409.14683). The clusters are those of Ward's
method, found by merging mutual nearest neighbours in rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import quantize
from rag_search.records import FloatMatrix, TokenVectors, packed_bytes
from rag_search.runtime import blas

FACTOR = 3


def pooled(passages: Sequence[FloatMatrix], dim: int) -> TokenVectors:
    """Pool and quantize the unit token vectors (t, dim) of passages."""
    with blas.one_thread:
        rows = [quantize(pool(units)) for units in passages]
    nothing = np.empty((0, packed_bytes(dim)), np.uint8)
    lengths, counts = ([len(part) for part in parts] for parts in (rows, passages))
    return TokenVectors(np.concatenate([nothing, *rows]), np.array(lengths, np.int64), np.array(counts, np.int64))


def pool(units: FloatMatrix, *, factor: int = FACTOR) -> FloatMatrix:
    """Merge unit token vectors (t, dim) to ceil(t / factor) unit vectors, in the order of their first tokens."""
    means, sizes = np.array(units, np.float32), np.ones(len(units), np.float32)
    target = -(-len(units) // factor)
    while len(means) > target:
        first, second = _pairs(means, sizes, at_most=len(means) - target)
        total = sizes[first] + sizes[second]
        merged = means[first] * sizes[first, None] + means[second] * sizes[second, None]
        means[first], sizes[first] = merged / total[:, None], total
        keep = np.ones(len(means), np.bool_)
        keep[second] = False
        means, sizes = means[keep], sizes[keep]
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)


def _pairs(means: FloatMatrix, sizes: FloatMatrix, *, at_most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return pairs (first < second) of mutually nearest clusters, the closest `at_most` of them.

    The distance is the growth of the sum of squares, n m / (n + m) |a - b|^2 for clusters of n and m tokens.
    """
    squares = np.einsum("ij,ij->i", means, means)
    distances = squares[:, None] + squares - 2 * (means @ means.T)
    distances *= sizes[:, None] * sizes / (sizes[:, None] + sizes)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(axis=1)
    first = np.flatnonzero((nearest[nearest] == np.arange(len(means))) & (np.arange(len(means)) < nearest))
    if len(first) > at_most:
        closest = np.argsort(distances[first, nearest[first]], kind="stable")[:at_most]
        first = np.sort(first[closest])
    return first, nearest[first]
