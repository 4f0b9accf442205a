"""Vector search by FAISS: exact straight on the mapped file, and the approximate cache for large indexes.

Two settings cost a factor of 8 when left alone, so this module makes them when it is loaded, which is when a large
index is searched:
- `OPENBLAS_CORETYPE` must be set before the import of faiss: the wheel's own OpenBLAS takes new CPUs for a Prescott.
- `distance_compute_blas_threshold`: the scan without BLAS is faster for batches under about 1600 queries.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from rag_search.errors import MissingExtraError
from rag_search.index.vectors import IdMatrix, Ids, VectorRows, VectorSearch, padded, scan, top
from rag_search.records import FloatMatrix


def _openblas_core() -> str | None:
    """The kernel set of this CPU in OpenBLAS's own words; None where the automatic choice is right."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    return "SkylakeX" if "avx512f" in flags else "Haswell" if "avx2" in flags else None


if _core := _openblas_core():
    os.environ.setdefault("OPENBLAS_CORETYPE", _core)

try:
    import faiss
except ImportError as error:
    raise MissingExtraError("faiss", "cpu") from error

faiss.cvar.distance_compute_blas_threshold = 1600


def open_search(rows: VectorRows) -> VectorSearch:
    return ExactSearch(rows)


@dataclass(frozen=True)
class ExactSearch:
    """`faiss.knn` on the mapped rows: no copy, no build."""

    rows: VectorRows
    kind = "exact (faiss)"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        if allowed is not None:
            return scan(queries, top_k, self.rows, self.rows.living(allowed))
        living = self.rows.segment.rows - len(self.rows.dead)
        wanted = min(top_k, living)
        fetch = top_k + 16 if len(self.rows.dead) else top_k
        while True:
            best = self._fetch(queries, min(fetch, self.rows.segment.rows), top_k)
            if all(len(ids) >= wanted for ids, _ in best):
                return padded(best, top_k)
            fetch *= 2  # knn cannot leave out dead rows, so look further down

    def _fetch(self, queries: FloatMatrix, fetch: int, top_k: int) -> list[tuple[Ids, FloatMatrix]]:
        scores, ids = faiss.knn(queries, self.rows.matrix, fetch, metric=faiss.METRIC_INNER_PRODUCT)
        alive = ~self.rows.is_dead(ids)
        return [top(row[keep], values[keep], top_k) for row, values, keep in zip(ids, scores, alive, strict=True)]
