"""Exact search on NVIDIA GPUs: all rows in half precision in GPU memory, divided among several GPUs.

Half precision only finds candidates. Their scores are computed again from the stored rows, so a hit scores the same
with and without a GPU. The GPU is tried before use: a wheel without kernels for it counts GPUs and then fails.
Opening copies all rows to the GPU, which pays off in a server or for a batch of queries.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from rag_search.errors import pip_install
from rag_search.index.dense.base import HalfMatrix, IdMatrix, Ids, VectorRows, VectorSearch
from rag_search.index.dense.exact import padded, top
from rag_search.records import FloatMatrix

_SPARE = 64  # candidates on top of `top_k`: neighbours whose order half precision confuses
_MAX_RESULTS = 2048  # of one query, a limit of the GPU code
_TOLERANCE = 0.01


def prefer_gpu(rows: VectorRows, plain: VectorSearch, faiss: ModuleType | Any) -> VectorSearch:
    """Return a search on the GPUs if a real search there works, else `plain` with the reason in its `kind`.

    faiss: the module. `should_use_cuvs` and the like are never called: without a GPU they abort the process.
    """
    if not hasattr(faiss, "StandardGpuResources"):
        return GpuUnavailable(plain, f"this faiss has no GPU support; run: {pip_install('gpu')}")
    if faiss.get_num_gpus() == 0:
        return GpuUnavailable(plain, "faiss sees no GPU")
    try:
        search = GpuSearch(rows, plain, upload(rows.matrix, faiss), faiss.get_num_gpus())
        search.probe()
    except (RuntimeError, MemoryError) as error:
        return GpuUnavailable(plain, str(error).strip().splitlines()[-1][:120])
    return search


def upload(matrix: HalfMatrix, faiss: ModuleType | Any) -> Any:
    """Copy all rows to the GPUs in half precision, a part to each. Raises RuntimeError when they do not fit."""
    flat = faiss.IndexFlatIP(matrix.shape[1])
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = True
    options.shard = True
    index = faiss.index_cpu_to_all_gpus(flat, options)
    for start in range(0, len(matrix), 65_536):
        index.add(np.ascontiguousarray(matrix[start : start + 65_536], np.float32))
    return index


@dataclass(frozen=True)
class GpuUnavailable:
    """VectorSearch by `plain`; its `kind` says why no GPU is used."""

    plain: VectorSearch
    reason: str

    @property
    def kind(self) -> str:
        """Name for people."""
        return f"{self.plain.kind}; GPU not used: {self.reason}"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """Return the best live rows; see VectorSearch."""
        return self.plain.search(queries, top_k, allowed=allowed)


@dataclass(frozen=True)
class GpuSearch:
    """VectorSearch with candidates from the GPUs and exact scores from the rows.

    Filtered and very deep searches go to `plain`.
    """

    rows: VectorRows
    plain: VectorSearch
    index: Any
    gpus: int
    _lock: threading.Lock = field(default_factory=threading.Lock)  # a GPU index serves one thread at a time

    @property
    def kind(self) -> str:
        """Name for people."""
        return f"exact (faiss on {self.gpus} GPU{'s' if self.gpus > 1 else ''}, fp16)"

    def probe(self) -> None:
        """Search once. Raises RuntimeError when a row does not find itself."""
        row = np.ascontiguousarray(self.rows.matrix[:1], np.float32)
        scores, ids = self.index.search(row, 1)
        expected = float(row[0] @ row[0])
        if ids[0, 0] < 0 or abs(float(scores[0, 0]) - expected) > _TOLERANCE:
            raise RuntimeError(f"a row scored {float(scores[0, 0]):.3f} against itself instead of {expected:.3f}")

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """Return the best live rows; see VectorSearch."""
        fetch = min(self.rows.segment.rows, top_k + _SPARE + len(self.rows.deleted))
        if allowed is not None or fetch > _MAX_RESULTS:
            return self.plain.search(queries, top_k, allowed=allowed)
        with self._lock:
            _, matches = self.index.search(np.ascontiguousarray(queries), fetch)
        best = []
        for query, row in zip(queries, matches, strict=True):
            ids = row[(row >= 0) & ~self.rows.is_deleted(row)].astype(np.int64)
            best.append(top(ids, self.rows.gather(ids) @ query, top_k))
        return padded(best, top_k)
