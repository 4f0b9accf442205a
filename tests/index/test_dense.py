"""Every way of searching the vectors against NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_search.index.dense.base import VectorRows, VectorSearch
from rag_search.index.dense.exact import ScanSearch
from rag_search.index.dense.faiss_cpu import ApproximateSearch, ExactSearch, build, load
from rag_search.index.dense.faiss_file import FaissFile
from rag_search.index.store.disk import DISK
from rag_search.index.store.layout import DerivedFile
from rag_search.index.store.segments import Segment
from rag_search.records import FloatMatrix
from tests.index.world import random_unit

ROWS, DIM = 9000, 16  # more than two blocks of a scan


def make_rows(folder: Path, vectors: FloatMatrix, dead: NDArray[np.int64]) -> VectorRows:
    segment = Segment.create(folder, "vectors", vectors.shape[1], number=1)
    segment.append(vectors, DISK)
    return VectorRows(segment, dead, None)


def approximate(rows: VectorRows) -> VectorSearch:
    """A cache over most rows, so that some are newer."""
    import faiss

    index = faiss.deserialize_index(build(rows.matrix[: ROWS - 700]))
    return ApproximateSearch(rows, index)


def in_clusters(rows: VectorRows) -> VectorSearch:
    """The same as for a large index."""
    return load(rows, build(rows.matrix[: ROWS - 700], clustered_rows=5000).tobytes())


SEARCHES: list[Callable[[VectorRows], VectorSearch]] = [ScanSearch, ExactSearch, approximate, in_clusters]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> VectorRows:
    dead = np.sort(np.random.default_rng(1).choice(ROWS, ROWS // 5, replace=False))
    return make_rows(tmp_path_factory.mktemp("rows"), clustered(ROWS, DIM), dead)


def clustered(rows: int, dim: int, *, clusters: int = 50) -> FloatMatrix:
    random = np.random.default_rng(2)
    centres = random_unit(clusters, dim, seed=3)
    made = centres[random.integers(0, clusters, rows)] + 0.15 * random.standard_normal((rows, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def truth(rows: VectorRows, query: FloatMatrix, top_k: int, allowed: NDArray[np.int64]) -> list[int]:
    ids = np.setdiff1d(allowed, rows.deleted)
    return ids[np.argsort(-(rows.matrix[ids] @ query), kind="stable")][:top_k].tolist()


@pytest.mark.parametrize("make", SEARCHES)
@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("filtered", [None, 0.002, 0.05, 0.6])
def test_agrees_with_numpy(
    rows: VectorRows, make: Callable[[VectorRows], VectorSearch], queries: int, filtered: float | None
) -> None:
    wanted = clustered(ROWS, DIM)[np.random.default_rng(5).integers(0, ROWS, queries)]
    allowed = np.flatnonzero(np.random.default_rng(4).random(ROWS) < (filtered or 2)).astype(np.int64)
    ids, scores = make(rows).search(wanted, 50, allowed=None if filtered is None else allowed)
    assert ids.shape == scores.shape == (queries, 50)
    assert ids.dtype == np.int64 and scores.dtype == np.float32
    for query, found, values in zip(wanted, ids, scores, strict=True):
        expected = truth(rows, query, 50, allowed)
        overlap = len(set(found[found >= 0].tolist()) & set(expected)) / len(expected)
        assert overlap >= 0.98 if make in (approximate, in_clusters) else overlap == 1
        kept = found[found >= 0]
        np.testing.assert_allclose(values[: len(kept)], rows.matrix[kept] @ query, atol=1e-6)
        assert (np.diff(values[: len(kept)]) <= 0).all()
        assert (values[len(kept) :] == -np.inf).all()


@pytest.mark.parametrize("make", SEARCHES)
@pytest.mark.parametrize("filtered", [None, 0.05, 0.6])
def test_a_ranking_does_not_depend_on_the_queries_beside_it(
    rows: VectorRows, make: Callable[[VectorRows], VectorSearch], filtered: float | None
) -> None:
    wanted = random_unit(9, DIM, seed=6)
    allowed = None if filtered is None else np.flatnonzero(np.random.default_rng(4).random(ROWS) < filtered)
    search = make(rows)
    ids, scores = search.search(wanted, 50, allowed=allowed)
    for query, found, values in zip(wanted, ids, scores, strict=True):
        alone_ids, alone_scores = search.search(query[None], 50, allowed=allowed)
        np.testing.assert_array_equal(found, alone_ids[0])
        np.testing.assert_array_equal(values, alone_scores[0])  # to the last bit


@pytest.mark.parametrize("make", SEARCHES)
def test_asks_for_more_than_there_is(rows: VectorRows, make: Callable[[VectorRows], VectorSearch]) -> None:
    ids, _ = make(rows).search(random_unit(2, DIM), ROWS + 5)
    living = sorted(set(range(ROWS)) - set(rows.deleted.tolist()))
    assert all(sorted(found[found >= 0].tolist()) == living for found in ids)
    nothing, scores = make(rows).search(random_unit(2, DIM), 4, allowed=np.empty(0, np.int64))
    assert (nothing == -1).all() and (scores == -np.inf).all()


@pytest.mark.parametrize("make", SEARCHES)
def test_the_nearest_may_all_be_dead(tmp_path: Path, make: Callable[[VectorRows], VectorSearch]) -> None:
    """Old versions of the document that answers best: a search must look below them."""
    vectors = clustered(ROWS, DIM)
    query = vectors[:1]
    dead = np.sort(np.argsort(-(vectors @ query[0]))[:2000])
    rows = make_rows(tmp_path, vectors, dead)
    ids, _ = make(rows).search(query, 10)
    assert ids[0].tolist() == truth(rows, query[0], 10, np.arange(ROWS))


@pytest.mark.parametrize("make", SEARCHES)
@pytest.mark.parametrize("alive", [[], [4, 8000, ROWS - 3]])
def test_nearly_all_rows_may_be_dead(
    tmp_path: Path, make: Callable[[VectorRows], VectorSearch], alive: list[int]
) -> None:
    """Everything was removed and compaction has not come yet."""
    dead = np.setdiff1d(np.arange(ROWS), alive)
    rows = make_rows(tmp_path, clustered(ROWS, DIM), dead)
    query = random_unit(1, DIM)
    ids, scores = make(rows).search(query, 10)
    assert ids[0].tolist() == truth(rows, query[0], 10, np.arange(ROWS)) + [-1] * (10 - len(alive))
    assert (scores[0, len(alive) :] == -np.inf).all()


@pytest.mark.parametrize("make", [ScanSearch, ExactSearch])
def test_no_rows_at_all(tmp_path: Path, make: Callable[[VectorRows], VectorSearch]) -> None:
    ids, scores = make(make_rows(tmp_path, np.empty((0, DIM), np.float32), np.empty(0, np.int64))).search(
        random_unit(2, DIM), 3
    )
    assert ids.tolist() == [[-1] * 3] * 2 and (scores == -np.inf).all()


def test_equal_scores_are_ordered_by_row(tmp_path: Path) -> None:
    rows = make_rows(tmp_path, np.tile(random_unit(1, DIM), (100, 1)), np.empty(0, np.int64))
    for make in (ScanSearch, ExactSearch):
        assert make(rows).search(random_unit(1, DIM), 100)[0][0].tolist() == list(range(100))


@pytest.mark.slow
@pytest.mark.parametrize("clustered_rows", [60_000, 60_001])
def test_recall_of_the_cache(tmp_path: Path, clustered_rows: int) -> None:
    """384 columns of which 48 directions matter, as in embeddings of text: recall@50 of at least 0.99."""
    vectors = clustered(60_000, 48, clusters=300) @ random_unit(48, 384) + 0.1 * random_unit(60_000, 384, seed=9)
    vectors += 2 * random_unit(1, 384, seed=10)  # and all lie in a narrow cone
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = make_rows(tmp_path, vectors, np.empty(0, np.int64))
    search = load(rows, build(rows.matrix, clustered_rows=clustered_rows).tobytes())
    queries = rows.matrix[::3000] + 0.02 * random_unit(20, 384)
    found, _ = search.search(queries, 50)
    exact, _ = ScanSearch(rows).search(queries, 50)
    recall = np.mean([len(np.intersect1d(a, b)) / 50 for a, b in zip(found, exact, strict=True)])
    assert recall >= 0.99


def test_a_large_cache_is_read_in_part(rows: VectorRows) -> None:
    """A filter or a deep search reads all of its clusters, and so finds what all codes together give."""
    whole, part = approximate(rows), in_clusters(rows)
    assert isinstance(whole, ApproximateSearch) and isinstance(part, ApproximateSearch)
    queries = clustered(ROWS, DIM)[:40]
    allowed = np.arange(0, ROWS, 3)
    np.testing.assert_array_equal(
        whole.search(queries, 50, allowed=allowed)[0], part.search(queries, 50, allowed=allowed)[0]
    )
    np.testing.assert_array_equal(whole.search(queries, 500)[0], part.search(queries, 500)[0])
    assert part.kind == f"{whole.kind[:-1]}, 32 clusters)"


def test_the_same_rows_give_the_same_cache(rows: VectorRows) -> None:
    for clustered_rows in (5000, ROWS + 1):
        first, second = (build(rows.matrix, clustered_rows=clustered_rows) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_a_cache_that_is_not_as_written_is_not_used(tmp_path: Path) -> None:
    import zlib
    from dataclasses import replace

    rows = make_rows(tmp_path, clustered(ROWS, DIM), np.empty(0, np.int64))
    data = bytearray(build(rows.matrix).tobytes())
    named = replace(rows, derived=DerivedFile("ann-000001.faiss", ROWS, zlib.crc32(data)))
    file = tmp_path / "ann-000001.faiss"
    assert FaissFile().open(named) is None  # it is gone
    file.write_bytes(data)
    assert isinstance(FaissFile().open(named), ApproximateSearch)
    for damage in (bytes(data[:-1]), b"", bytes([*data[:100], data[100] ^ 1, *data[101:]])):
        file.write_bytes(damage)
        assert FaissFile().open(named) is None
