"""Vector search by FAISS: exact straight on the mapped file, and the approximate cache for large indexes.

The cache spends 4 bits on each of dim/2 directions (FastScan, half a byte a direction): it scans all rows in
registers, gives 750 candidates, and these are scored again from the exact vectors. Which directions matters: on 400,000
vectors made from multilingual-e5 passages, pairs of raw columns gave recall@50 0.935, the principal directions 0.826
(FastScan rounds all its tables to one scale, and the first directions take it), the same ones rotated 0.997.
IVF misses too much at a comparable budget and HNSW cannot delete.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import MissingExtraError
from rag_search.index.dense.exact import IdMatrix, Ids, VectorRows, VectorSearch, in_sorted, padded, scan, top
from rag_search.index.store.state import is_sound
from rag_search.records import FloatMatrix, FloatVector

CANDIDATES = 750  # of a million rows: recall@50 0.990 with 500, 0.994 with 750, 0.997 with 1,000
_TRAINING_ROWS = 65_536
_ADD_ROWS = 65_536
_SELECTIVE = 0.1  # where filters and removals leave less than this share of the rows, it is scanned exactly


@contextmanager
def _loader_settings() -> Iterator[None]:
    """What the libraries of the faiss wheel read once, when they are loaded; a user's own setting wins.

    OPENBLAS_CORETYPE: its OpenBLAS takes new CPUs for a Prescott, a factor of 8 on batches. OMP_WAIT_POLICY: threads
    that spin at barriers made batches 10 times slower on a machine with other work.
    """
    ours = {"OPENBLAS_CORETYPE": _openblas_core(), "OMP_WAIT_POLICY": "PASSIVE"}
    ours = {name: value for name, value in ours.items() if value and name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            del os.environ[name]


def _openblas_core() -> str:
    """The kernel set of this CPU in OpenBLAS's own words; empty where its choice is right."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""
    return "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else ""


with _loader_settings():
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss", "cpu") from error

faiss.cvar.distance_compute_blas_threshold = 1600  # below that many queries the scan without BLAS is faster
_THREADS = faiss.omp_get_max_threads()


def open_search(rows: VectorRows) -> VectorSearch:
    """Approximate where there is a sound cache, else exact: a cache that is gone or damaged costs time, not answers."""
    index = _read_cache(rows)
    return ExactSearch(rows) if index is None else ApproximateSearch(rows, index)


def build(matrix: FloatMatrix) -> NDArray[np.uint8]:
    """The cache over all rows of `matrix` (n, dim), n > 0, as the bytes of a file. A million rows of 384 take 10 s."""
    faiss.omp_set_num_threads(_THREADS)
    step = -(-len(matrix) // _TRAINING_ROWS)
    sample = np.ascontiguousarray(matrix[::step])  # evenly spread, not random: the same rows give the same cache
    axes = _axes(sample)
    to_axes = faiss.LinearTransform(matrix.shape[1], len(axes), False)
    faiss.copy_array_to_vector(axes.ravel(), to_axes.A)
    to_axes.is_trained = True
    codes = faiss.index_factory(len(axes), f"PQ{matrix.shape[1] // 2}x4fs", faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexPreTransform(to_axes, codes)
    index.train(sample)
    for start in range(0, len(matrix), _ADD_ROWS):
        index.add(matrix[start : start + _ADD_ROWS])
    data: NDArray[np.uint8] = faiss.serialize_index(index)
    return data


def _axes(sample: FloatMatrix) -> FloatMatrix:
    """Orthonormal directions to quantise, float32 (dim/2 or dim, dim), randomly rotated among themselves.

    Half of the directions with 4 bits each, or all with 2: whichever leaves less error in a dot product. The error
    along a direction is what the query has there times what is lost of the row. Queries look like rows, so the first
    is the second moment and not the variance: rows vary little along their common mean, and queries lie along it
    (directions by variance gave recall@50 0.46). The best quantiser of a normal variable loses 0.0095 of the variance
    with 16 levels and 0.1175 with 4 (Max 1960).
    """
    moments, directions = np.linalg.eigh((sample.T @ sample).astype(np.float64) / len(sample))
    moments, directions = moments[::-1], directions[:, ::-1].T
    variances = moments - (directions @ sample.mean(axis=0)) ** 2
    half = len(moments) // 2
    error_half = 0.0095 * variances[:half].mean() * moments[:half].sum() + moments[half:] @ variances[half:]
    error_all = 0.1175 * variances.mean() * moments.sum()
    kept = directions[: half if error_half < error_all else None]
    rotation = np.linalg.qr(np.random.default_rng(0).standard_normal((len(kept), len(kept))))[0]
    return np.ascontiguousarray(rotation @ kept, np.float32)


@dataclass(frozen=True)
class ExactSearch:
    """`faiss.knn` on the mapped rows: no copy, no build."""

    rows: VectorRows
    kind = "exact (faiss)"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        if allowed is not None:
            return scan(queries, top_k, self.rows, self.rows.living(allowed))
        total = self.rows.segment.rows
        wanted = min(top_k, total - len(self.rows.dead))
        fetch = top_k + 16 if len(self.rows.dead) else top_k
        while True:
            best = self._nearest(queries, min(fetch, total), top_k)
            if all(len(ids) >= wanted for ids, _ in best):
                return padded(best, top_k)
            fetch *= 2  # knn cannot leave out dead rows, so look further down

    def _nearest(self, queries: FloatMatrix, fetch: int, top_k: int) -> list[tuple[Ids, FloatVector]]:
        _use_threads(len(queries))
        scores, ids = faiss.knn(queries, self.rows.matrix, fetch, metric=faiss.METRIC_INNER_PRODUCT)
        alive = ~self.rows.is_dead(ids)
        return [top(row[keep], values[keep], top_k) for row, values, keep in zip(ids, scores, alive, strict=True)]


@dataclass(frozen=True)
class ApproximateSearch:
    """The cache for the rows it covers, a scan for newer ones, exact scores for all."""

    rows: VectorRows
    index: Any

    @property
    def kind(self) -> str:
        return f"approximate (faiss, {self.index.d // 2} x 4 bits)"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        alive = self.rows.segment.rows - len(self.rows.dead)
        crowded = allowed is None and alive >= _SELECTIVE * self.rows.segment.rows
        living = None if crowded else self.rows.living(allowed)
        if living is not None and len(living) < _SELECTIVE * self.rows.segment.rows:
            return scan(queries, top_k, self.rows, living)
        newer = self.rows.living(allowed, start=self.index.ntotal)
        candidates = self._candidates(queries, top_k, living)
        covered = (alive if living is None else len(living)) - len(newer)
        if min(map(len, candidates)) < min(_wanted(top_k) // 2, covered):
            # What is dead or filtered out lay all around a query, so the cache saw too little: no shortcut then.
            return scan(queries, top_k, self.rows, self.rows.living() if living is None else living)
        found, scores = scan(queries, top_k, self.rows, newer)
        return padded(
            [self._best(*parts, top_k) for parts in zip(queries, candidates, found, scores, strict=True)], top_k
        )

    def _best(
        self, query: FloatVector, candidates: Ids, newer: Ids, newer_scores: FloatVector, top_k: int
    ) -> tuple[Ids, FloatVector]:
        """The candidates by their exact scores, together with the newer rows found (-1: none)."""
        exact = self.rows.gather(candidates) @ query
        there = newer >= 0
        return top(np.concatenate([candidates, newer[there]]), np.concatenate([exact, newer_scores[there]]), top_k)

    def _candidates(self, queries: FloatMatrix, top_k: int, living: Ids | None) -> list[Ids]:
        """Rows worth an exact look, for each query. FastScan takes no filter, so ask for more and drop."""
        total = self.rows.segment.rows
        share = (total - len(self.rows.dead) if living is None else len(living)) / total
        fetch = min(self.index.ntotal, int(_wanted(top_k) / share))
        _use_threads(len(queries))
        _, found = self.index.search(queries, fetch)
        if living is None:
            return [ids[(ids >= 0) & ~self.rows.is_dead(ids)] for ids in found]
        return [ids[in_sorted(ids, living)] for ids in found]


def _wanted(top_k: int) -> int:
    """Living candidates to look at exactly for `top_k` results."""
    return max(CANDIDATES, 5 * top_k)


def _read_cache(rows: VectorRows) -> Any | None:
    """The cache that meta.db names; None when it is missing or not as it was written."""
    if rows.ann is None:
        return None
    try:
        data = (rows.folder / rows.ann.name).read_bytes()
    except OSError:
        return None
    if not is_sound(data, rows.ann):
        return None
    return faiss.deserialize_index(np.frombuffer(data, np.uint8))


def _use_threads(queries: int) -> None:
    """One thread for a single query: the barrier costs more than the second core gives. Counts for this thread only."""
    faiss.omp_set_num_threads(1 if queries == 1 else _THREADS)
