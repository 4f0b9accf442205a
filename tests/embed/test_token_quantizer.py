from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_search.embed.token_quantizer import CODEBOOK, dequantize, quantize, rotate
from rag_search.records import FloatMatrix, packed_bytes

DIMS = st.sampled_from((8, 16, 64, 96, 128, 384))


def units(dim: int, count: int, seed: int) -> FloatMatrix:
    vectors = np.random.default_rng(seed).standard_normal((count, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(DIMS, st.integers(0, 5), st.integers(0, 100))
def test_turning_keeps_dot_products(dim: int, count: int, seed: int) -> None:
    one, other = units(dim, count, seed), units(dim, 3, seed + 1)
    np.testing.assert_allclose(rotate(one) @ rotate(other).T, one @ other.T, atol=1e-5)


def test_turning_levels_the_columns() -> None:
    lopsided = units(128, 1000, 1) * np.geomspace(1, 0.01, 128, dtype=np.float32)
    deviations = rotate(lopsided).std(axis=0)
    assert deviations.max() / deviations.min() < 2 < 50 < lopsided.std(axis=0).max() / lopsided.std(axis=0).min()


@given(DIMS, st.integers(0, 5), st.integers(0, 100))
def test_every_component_becomes_the_nearest_level(dim: int, count: int, seed: int) -> None:
    vectors = units(dim, count, seed)
    levels = CODEBOOK / np.sqrt(dim)
    nearest = levels[np.abs(vectors[..., None] - levels).argmin(axis=-1)] if count else vectors
    rows = quantize(vectors)
    assert rows.dtype == np.uint8
    assert rows.shape == (count, packed_bytes(dim))
    lengths = np.linalg.norm(nearest, axis=1, keepdims=True)
    np.testing.assert_allclose(dequantize(rows), nearest / lengths, rtol=1e-5)


@given(st.lists(st.lists(st.integers(0, 255), min_size=6, max_size=6), max_size=4))
def test_any_bytes_are_levels_of_three_bits(rows: list[list[int]]) -> None:
    """Read bit by bit; a vector is as long as its levels are, made one."""
    packed = np.array(rows, np.uint8).reshape(-1, 6)
    fours = [[row[i] | (row[4 + i // 2] >> 4 * (i % 2) & 15) << 8 for i in range(4)] for row in rows]
    levels = [[CODEBOOK[four >> 3 * i & 7] for four in row for i in range(4)] for row in fours]
    expected = np.array(levels).reshape(-1, 16)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(dequantize(packed), expected, rtol=1e-5)


def test_the_error_of_a_dot_product() -> None:
    passages, queries = units(128, 5000, 1), units(128, 200, 2)
    error = queries @ (dequantize(quantize(passages)) - passages).T
    assert error.std() == pytest.approx(0.1858 / np.sqrt(128), rel=0.05)  # 8 levels lose 0.0345 of the variance
