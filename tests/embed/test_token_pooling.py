"""Pooling of token vectors against a slow and plain version of Ward's method."""

from __future__ import annotations

import numpy as np
import pytest

from rag_search.embed.token_pooling import pool, pooled
from rag_search.embed.token_quantizer import dequantize
from rag_search.records import FloatMatrix


def units(tokens: int, dim: int = 32, *, seed: int = 0) -> FloatMatrix:
    """Return token vectors that resemble their neighbours, as those of a text do."""
    random = np.random.default_rng(seed)
    made = np.cumsum(random.standard_normal((tokens, dim)), axis=0) * 0.3 + random.standard_normal((tokens, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def ward(vectors: FloatMatrix, target: int) -> float:
    """Return the sum of squares within clusters after merging the closest pair again and again."""
    clusters = [[i] for i in range(len(vectors))]

    def growth(one: list[int], other: list[int]) -> float:
        gap = vectors[one].mean(axis=0) - vectors[other].mean(axis=0)
        return len(one) * len(other) / (len(one) + len(other)) * float(gap @ gap)

    while len(clusters) > target:
        pairs = [(growth(a, b), i, j) for i, a in enumerate(clusters) for j, b in enumerate(clusters) if i < j]
        _, i, j = min(pairs)
        clusters[i] += clusters.pop(j)
    return sum(float(((vectors[c] - vectors[c].mean(axis=0)) ** 2).sum()) for c in clusters)


@pytest.mark.parametrize("tokens", [0, 1, 3, 4, 5, 8, 257])
def test_a_third_of_the_vectors_is_left(tokens: int) -> None:
    """Their number is a third, rounded up, and all have unit length."""
    merged = pool(units(tokens))
    assert merged.shape == (-(-tokens // 3), 32)
    np.testing.assert_allclose(np.linalg.norm(merged, axis=1), 1, atol=1e-5)


def test_little_is_lost_against_ward() -> None:
    """Each token is about as near to its cluster as with Ward's method itself."""
    for seed in range(5):
        vectors = units(24, seed=seed)
        merged = pool(vectors)
        nearest = (vectors @ merged.T).max(axis=1)
        loss = float((2 - 2 * nearest).sum())
        assert loss <= 1.25 * ward(vectors, 8) + 1e-6


def test_equal_tokens_become_one() -> None:
    """Vectors that occur three times each are found again, in the order of their first token."""
    distinct = np.linalg.qr(np.random.default_rng(1).standard_normal((32, 32)))[0][:5].astype(np.float32)
    merged = pool(np.tile(distinct, (3, 1)))
    np.testing.assert_allclose(merged, distinct, atol=1e-6)


def test_reading_order_stays() -> None:
    """A vector stands where the first of its tokens stood, wherever the others are."""
    distinct = np.linalg.qr(np.random.default_rng(1).standard_normal((32, 32)))[0][:10].astype(np.float32)
    order = np.random.default_rng(4).permutation(np.repeat(np.arange(10), 3))
    merged = pool(distinct[order])
    assert (merged @ distinct.T).argmax(axis=1).tolist() == list(dict.fromkeys(order.tolist()))


def test_passages_keep_their_token_counts() -> None:
    """The number of tokens before pooling comes with the rows."""
    parts = [units(7), units(0), units(16, seed=2)]
    tokens = pooled(parts, 32)
    assert tokens.lengths.tolist() == [3, 0, 6]
    assert tokens.token_counts.tolist() == [7, 0, 16]
    assert tokens.part(1, 3).token_counts.tolist() == [0, 16]
    products = dequantize(tokens.part(2, 3).rows) @ pool(parts[2]).T
    assert (np.diag(products) > 0.9).all()
