"""Search on the card: the guard against every way in which it cannot be used, and exact scores when it can. There is no
card here: the module is a small one that computes in half precision as the card does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rag_search.index.dense.base import VectorRows
from rag_search.index.dense.exact import ScanSearch
from rag_search.index.dense.faiss_gpu import GpuSearch, GpuUnavailable, prefer_gpu
from rag_search.records import FloatMatrix
from tests.index.test_dense import make_rows
from tests.index.world import random_unit


class HalfIndex:
    """A flat inner-product index in half precision. gain: what a broken kernel multiplies its scores by."""

    def __init__(self, dim: int, options: Any, gain: float) -> None:
        self._rows, self._options, self._gain = np.empty((0, dim), np.float16), options, gain

    def add(self, rows: FloatMatrix) -> None:
        assert self._options.useFloat16
        assert self._options.shard
        self._rows = np.concatenate([self._rows, rows.astype(np.float16)])

    def search(self, queries: FloatMatrix, top_k: int) -> tuple[Any, Any]:
        scores = queries.astype(np.float16).astype(np.float32) @ self._rows.astype(np.float32).T * self._gain
        ids = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
        return np.take_along_axis(scores, ids, axis=1), ids


class Module:
    """The part of a faiss with GPU support that is used."""

    StandardGpuResources = object

    def __init__(self, cards: int = 1, *, gain: float = 1.0, error: str = "") -> None:
        self._cards, self._gain, self._error = cards, gain, error

    def get_num_gpus(self) -> int:
        return self._cards

    def IndexFlatIP(self, dim: int) -> int:
        return dim

    def GpuMultipleClonerOptions(self) -> SimpleNamespace:
        return SimpleNamespace(useFloat16=False, shard=False)

    def index_cpu_to_all_gpus(self, dim: int, options: Any) -> HalfIndex:
        if self._error:
            raise RuntimeError(self._error)
        return HalfIndex(dim, options, self._gain)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> VectorRows:
    dead = np.arange(0, 900, 7)
    folder: Path = tmp_path_factory.mktemp("rows")
    return make_rows(folder, random_unit(900, 32, seed=3), dead)


@pytest.mark.parametrize("cards", [1, 4])
def test_answers_and_scores_are_those_of_numpy(rows: VectorRows, cards: int) -> None:
    plain = ScanSearch(rows)
    search = prefer_gpu(rows, plain, Module(cards))
    assert isinstance(search, GpuSearch)
    queries = random_unit(20, 32, seed=4)
    for top_k in (1, 10, 800, 3000):
        ids, scores = search.search(queries, top_k)
        wanted_ids, wanted = plain.search(queries, top_k)
        np.testing.assert_allclose(scores, wanted, rtol=0, atol=1e-6)
        assert (ids == wanted_ids).mean() > 0.999
    allowed = np.arange(100, 200)
    np.testing.assert_array_equal(
        search.search(queries, 5, allowed=allowed)[0], plain.search(queries, 5, allowed=allowed)[0]
    )
    assert search.kind == f"exact (faiss on {cards} GPU{'s' if cards > 1 else ''}, fp16)"


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (SimpleNamespace(get_num_gpus=lambda: 1), "no GPU support"),
        (Module(0), "sees no GPU"),
        (Module(error="Error in ...\nCUDA error 209 no kernel image is available"), "no kernel image"),
        (Module(gain=0.5), "a row scored 0.5"),
    ],
)
def test_a_card_that_cannot_be_used_is_said_and_not_used(rows: VectorRows, module: Any, reason: str) -> None:
    plain = ScanSearch(rows)
    search = prefer_gpu(rows, plain, module)
    assert isinstance(search, GpuUnavailable)
    assert search.kind.startswith("exact (numpy); GPU not used: ")
    assert reason in search.kind
    queries = random_unit(2, 32, seed=5)
    np.testing.assert_array_equal(search.search(queries, 7)[0], plain.search(queries, 7)[0])
