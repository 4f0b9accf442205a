"""Vector search by FAISS: exact on the mapped file, and approximate for large indexes.

The approximate index spends 4 bits on each of dim/2 directions (FastScan, half a byte a direction). It scans the rows
in registers and gives 750 candidates, which are scored again from the exact vectors. The choice of directions matters.
Recall@50 on 400,000 vectors made from multilingual-e5 passages: 0.935 with pairs of raw columns, 0.826 with the
principal directions (FastScan rounds all its tables to one scale, which the first directions take), 0.997 with these
directions rotated. HNSW cannot delete.

Reading the codes is what takes the time, so those of a large index lie in clusters (IVF), and a search of the whole
index reads the nearest quarter. Recall@50 of a million synthetic rows: 0.999 with all clusters, 0.997 with a quarter.
Of 74,434 real passages as if they were a sample of a million (the nearest 4, 56 candidates): 0.9973 and 0.9946.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import MissingExtraError
from rag_search.index.dense.base import HalfMatrix, IdMatrix, Ids, VectorRows, in_sorted
from rag_search.index.dense.exact import padded, scan, top
from rag_search.records import FloatMatrix, FloatVector

CANDIDATES = 750  # of a million rows: recall@50 0.990 with 500, 0.994 with 750, 0.997 with 1,000
_TRAINING_ROWS = 65_536
_ADD_ROWS = 65_536
_READ_BYTES = 2**20
_CLUSTERED_ROWS = 2**18  # of fewer rows, all codes are read in a millisecond or two
_CLUSTERS, _CLUSTER_ROWS = 1024, 256  # at most so many clusters, with at least so many rows on average
_CLUSTERS_PER_READ = 4  # of which a search reads one
_SELECTIVE = 0.1  # where filters and deletions leave a smaller share of the rows, exact search is cheaper


@contextmanager
def _loader_settings() -> Iterator[None]:
    """Set what the libraries of the faiss wheel read once, when they are loaded; a user's own setting wins.

    OPENBLAS_CORETYPE: its OpenBLAS takes new CPUs for a Prescott, a factor of 8 on batches. OMP_WAIT_POLICY: threads
    that spin at barriers made batches 10 times slower on a machine with other work.
    """
    defaults = {"OPENBLAS_CORETYPE": _openblas_core(), "OMP_WAIT_POLICY": "PASSIVE"}
    defaults = {name: value for name, value in defaults.items() if value and name not in os.environ}
    os.environ.update(defaults)
    try:
        yield
    finally:
        for name in defaults:
            del os.environ[name]


def _openblas_core() -> str:
    """Return OpenBLAS's name of this CPU's kernels; "" where its own choice is right."""
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

LIBRARY: Any = faiss
_THREADS = faiss.omp_get_max_threads()


def build(matrix: HalfMatrix, *, clustered_rows: int = _CLUSTERED_ROWS) -> NDArray[np.uint8]:
    """Build the approximate index over all rows of `matrix` (n, dim), n > 0, and return the bytes of its file.

    clustered_rows: from so many rows on they lie in clusters.
    """
    faiss.omp_set_num_threads(_THREADS)
    step = -(-len(matrix) // _TRAINING_ROWS)
    sample = np.ascontiguousarray(matrix[::step], np.float32)  # evenly spread: the same rows give the same file
    axes = _axes(sample)
    to_axes = faiss.LinearTransform(matrix.shape[1], len(axes), False)
    faiss.copy_array_to_vector(axes.ravel(), to_axes.A)
    to_axes.is_trained = True
    clusters = min(_CLUSTERS, len(matrix) // _CLUSTER_ROWS)
    lists = f"IVF{clusters}," if len(matrix) >= clustered_rows else ""
    codes = faiss.index_factory(len(axes), f"{lists}PQ{matrix.shape[1] // 2}x4fs", faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexPreTransform(to_axes, codes)
    index.train(sample)
    for start in range(0, len(matrix), _ADD_ROWS):
        index.add(np.ascontiguousarray(matrix[start : start + _ADD_ROWS], np.float32))
    data: NDArray[np.uint8] = faiss.serialize_index(index)
    return data


def load(rows: VectorRows, data: bytes) -> ApproximateSearch:
    """Return the search over `rows` with the bytes of a file that `build` made of their first rows."""
    # deserialize_index would copy all of the bytes once more
    source = LIBRARY.PyCallbackIOReader(BytesIO(data).read, _READ_BYTES)
    return ApproximateSearch(rows, faiss.read_index(source))


def _axes(sample: FloatMatrix) -> FloatMatrix:
    """Return the orthonormal directions to quantise, float32 (dim/2 or dim, dim), rotated among themselves.

    Half of the directions with 4 bits each, or all with 2: whichever leaves less error in a dot product. The error
    along a direction is the product of the query's component and the loss of the row's component. Queries resemble
    rows, so the first factor is the second moment and not the variance. Rows vary little along their common mean,
    and queries lie along it: directions by variance gave recall@50 0.46. The best quantiser of a normal variable
    loses 0.0095 of the variance with 16 levels and 0.1175 with 4 (Max 1960).
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
    """VectorSearch over the stored float16 rows, which FAISS scans faster than float32.

    FAISS keeps a copy of them.
    """

    rows: VectorRows
    kind = "exact (faiss)"

    @cached_property
    def _index(self) -> Any:
        dim = self.rows.segment.columns
        index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        for start in range(0, self.rows.segment.rows, _ADD_ROWS):
            index.add_sa_codes(np.ascontiguousarray(self.rows.matrix[start : start + _ADD_ROWS]).view(np.uint8))
        return index

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """Return the best live rows; see VectorSearch."""
        total = self.rows.segment.rows
        if allowed is not None or not total:
            return scan(queries, top_k, self.rows, self.rows.live(allowed))
        required = min(top_k, self.rows.live_count)
        fetch = top_k + 16 if len(self.rows.deleted) else top_k
        while True:
            best = self._nearest(queries, min(fetch, total), top_k)
            if all(len(ids) >= required for ids, _ in best):
                return padded(best, top_k)
            fetch *= 2  # FAISS cannot leave out deleted rows, so look further down

    def _nearest(self, queries: FloatMatrix, fetch: int, top_k: int) -> list[tuple[Ids, FloatVector]]:
        _use_threads(len(queries))
        scores, ids = self._index.search(queries, fetch)
        live = ~self.rows.is_deleted(ids)
        return [top(row[keep], values[keep], top_k) for row, values, keep in zip(ids, scores, live, strict=True)]


@dataclass(frozen=True)
class ApproximateSearch:
    """VectorSearch by the approximate index over the rows it covers and a scan of newer ones; all scores are exact."""

    rows: VectorRows
    index: Any

    @property
    def kind(self) -> str:
        """Name for people."""
        clusters = f", {self._clusters} clusters" if self._clusters else ""
        return f"approximate (faiss, {self.index.d // 2} x 4 bits{clusters})"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """Return the best live rows; see VectorSearch."""
        scope = self._scope(allowed)
        newer = self.rows.live(scope, start=self.index.ntotal)
        candidates = None if self._exact_is_cheaper(scope) else self._candidates(queries, top_k, scope, newer)
        if candidates is None:
            return scan(queries, top_k, self.rows, self.rows.live() if scope is None else scope)
        ids, scores = scan(queries, top_k, self.rows, newer)
        return padded(
            [self._best(*parts, top_k) for parts in zip(queries, candidates, ids, scores, strict=True)], top_k
        )

    def _scope(self, allowed: Ids | None) -> Ids | None:
        """Return the live rows to choose from; None if these are most of all rows."""
        mostly_live = self.rows.live_count >= _SELECTIVE * self.rows.segment.rows
        return None if allowed is None and mostly_live else self.rows.live(allowed)

    def _exact_is_cheaper(self, scope: Ids | None) -> bool:
        return scope is not None and len(scope) < _SELECTIVE * self.rows.segment.rows

    def _candidates(self, queries: FloatMatrix, top_k: int, scope: Ids | None, newer: Ids) -> list[Ids] | None:
        """Return rows worth an exact look, for each query.

        FastScan takes no filter, so it is asked for more rows and the others are dropped. None if it saw too little:
        then the deleted or filtered rows lie all around a query.
        """
        total = self.rows.segment.rows
        count = self.rows.live_count if scope is None else len(scope)
        fetch = min(self.index.ntotal, int(_required(top_k) / (count / total)))
        everywhere = scope is not None or _required(top_k) > CANDIDATES  # what a filter leaves may be far off
        candidates = [row[self._in_scope(row, scope)] for row in self._nearest(queries, fetch, everywhere=everywhere)]
        too_few = min(map(len, candidates)) < min(_required(top_k) // 2, count - len(newer))
        return None if too_few else candidates

    def _nearest(self, queries: FloatMatrix, fetch: int, *, everywhere: bool) -> IdMatrix:
        """Return the `fetch` best rows by their codes, of all clusters or of the nearest; id -1: no more were read."""
        if not self._clusters:
            _use_threads(len(queries))
            return np.asarray(self.index.search(queries, fetch)[1])
        _use_threads(1)  # one query after the other: which clusters are nearest depends on those beside it
        count = self._clusters if everywhere else -(-self._clusters // _CLUSTERS_PER_READ)
        clusters = LIBRARY.SearchParametersPreTransform(index_params=LIBRARY.SearchParametersIVF(nprobe=count))
        return np.concatenate([self.index.search(query[None], fetch, params=clusters)[1] for query in queries])

    @cached_property
    def _clusters(self) -> int:
        """Number of clusters that the rows lie in, 0 for a smaller index."""
        return int(getattr(faiss.downcast_index(self.index.index), "nlist", 0))

    def _in_scope(self, ids: Ids, scope: Ids | None) -> NDArray[np.bool_]:
        if scope is None:
            return (ids >= 0) & ~self.rows.is_deleted(ids)
        return in_sorted(ids, scope)

    def _best(
        self, query: FloatVector, candidates: Ids, newer: Ids, newer_scores: FloatVector, top_k: int
    ) -> tuple[Ids, FloatVector]:
        """Return the best of the candidates, scored exactly, and of the newer rows (id -1: none)."""
        exact = self.rows.gather(candidates) @ query
        present = newer >= 0
        return top(np.concatenate([candidates, newer[present]]), np.concatenate([exact, newer_scores[present]]), top_k)


def _required(top_k: int) -> int:
    """Return the number of live candidates to score exactly for `top_k` results."""
    return max(CANDIDATES, 5 * top_k)


def _use_threads(queries: int) -> None:
    """Set FAISS's threads for this thread: one for a single query, where a barrier costs more than it gains."""
    faiss.omp_set_num_threads(1 if queries == 1 else _THREADS)
