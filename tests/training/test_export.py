"""The exported weights: seven bits that the product's graph keeps, and a small step that survives them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

TRAINING = Path(__file__).parents[2] / "training"


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(TRAINING)
    import export

    yield export
    for name in {path.stem for path in TRAINING.glob("*.py")} & set(sys.modules):
        del sys.modules[name]


def unpacked(packed: dict[str, np.ndarray]) -> np.ndarray:
    """Return the matrix of a packed layer."""
    return packed["l0.q.w"] * packed["l0.q.w.scale"][:, None]


def test_packed_matrices_have_seven_bits(export: ModuleType) -> None:
    """The largest of each row is 64, so that rounding again to 64 levels changes nothing."""
    matrix = np.random.default_rng(0).normal(0, 0.04, (8, 32)).astype(np.float32)
    packed = export.pack({"l0.q.w": matrix, "emb.pos": np.ones((2, 2)), "mean": np.ones(3)})
    assert (np.abs(packed["l0.q.w"].astype(int)).max(1) == 64).all()
    assert (packed["emb.pos"].dtype, packed["mean"].dtype) == (np.float16, np.float32)
    again = export.pack({"l0.q.w": unpacked(packed)})
    assert np.array_equal(again["l0.q.w"], packed["l0.q.w"])


def test_small_steps_from_an_export_survive(export: ModuleType) -> None:
    """A step of a fifth of an eight-bit level is kept on average, though most weights move by less than half."""
    rng = np.random.default_rng(0)
    levels = rng.integers(-127, 128, (64, 384))
    levels[:, 0] = 127
    start = levels * 0.001  # on the grid of an export with 127 levels
    step = np.where(rng.random(start.shape) < 0.5, 0.0002, -0.0002)
    moved = unpacked(export.pack({"l0.q.w": (start + step).astype(np.float32)})) - start
    assert (moved * step).sum() / (step * step).sum() > 0.5


def test_pooling_keeps_directions_of_groups(export: ModuleType) -> None:
    """Three groups of alike vectors become three unit vectors, each nearest to its own group."""
    from pooling import pooled

    axes = np.eye(8, dtype=np.float32)[:3]
    noise = np.random.default_rng(0).normal(0, 0.01, (12, 8)).astype(np.float32)
    small = pooled(np.repeat(axes, 4, axis=0) + noise, 4)
    assert small.shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(small, axis=1), 1, atol=1e-5)
    assert sorted((small @ axes.T).argmax(1).tolist()) == [0, 1, 2]
