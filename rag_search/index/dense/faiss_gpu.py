"""Exact search on NVIDIA cards: all rows in half precision in their memory, shared out when there are several.

Half precision only finds candidates; their scores are computed again from the float32 rows, so a hit scores the same
with and without a card. What is used is tried first: a wheel without kernels for the card counts cards and then fails.
Opening copies all rows to the card, which pays off in a server or a batch of queries.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np

from rag_search.errors import pip_install
from rag_search.index.dense.exact import IdMatrix, Ids, VectorRows, VectorSearch, padded, top
from rag_search.records import FloatMatrix

_SPARE = 64  # candidates on top of `top_k`: neighbours whose order half precision confuses
_MOST = 2048  # results that the card gives for one query
_TOLERANCE = 0.01


def prefer_gpu(rows: VectorRows, plain: VectorSearch, faiss: ModuleType | Any) -> VectorSearch:
    """Search on the cards if a real search there works, else `plain`, whose `kind` then says why not.

    faiss: the module. `should_use_cuvs` and the like are never called: without a card they abort the process.
    """
    if not hasattr(faiss, "StandardGpuResources"):
        return Unused(plain, f"this faiss has no GPU support; run: {pip_install('gpu')}")
    if faiss.get_num_gpus() == 0:
        return Unused(plain, "faiss sees no card")
    try:
        search = GpuSearch(rows, plain, upload(rows.matrix, faiss), faiss.get_num_gpus())
        search.probe()
    except (RuntimeError, MemoryError) as error:
        return Unused(plain, str(error).strip().splitlines()[-1][:120])
    return search


def upload(matrix: FloatMatrix, faiss: ModuleType | Any) -> Any:
    """All rows as half precision on the cards, a part on each. Raises RuntimeError when they do not fit."""
    flat = faiss.IndexFlatIP(matrix.shape[1])
    options = faiss.GpuMultipleClonerOptions()
    options.useFloat16 = True
    options.shard = True
    on_cards = faiss.index_cpu_to_all_gpus(flat, options)
    for start in range(0, len(matrix), 65_536):
        on_cards.add(np.ascontiguousarray(matrix[start : start + 65_536]))
    return on_cards


@dataclass(frozen=True)
class Unused:
    """`plain`, and the reason why no card is used."""

    plain: VectorSearch
    reason: str

    @property
    def kind(self) -> str:
        return f"{self.plain.kind}; GPU not used: {self.reason}"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        return self.plain.search(queries, top_k, allowed=allowed)


@dataclass(frozen=True)
class GpuSearch:
    """Candidates from the cards, exact scores from the rows. Filtered searches and very deep ones go to `plain`."""

    rows: VectorRows
    plain: VectorSearch
    index: Any
    cards: int
    _lock: threading.Lock = field(default_factory=threading.Lock)  # a GPU index serves one thread at a time

    @property
    def kind(self) -> str:
        return f"exact (faiss on {self.cards} GPU{'s' if self.cards > 1 else ''}, fp16)"

    def probe(self) -> None:
        """One real search. Raises RuntimeError when a row does not find itself."""
        row = np.ascontiguousarray(self.rows.matrix[:1])
        scores, ids = self.index.search(row, 1)
        wanted = float(row[0] @ row[0])
        if ids[0, 0] < 0 or abs(float(scores[0, 0]) - wanted) > _TOLERANCE:
            raise RuntimeError(f"a row scored {float(scores[0, 0]):.3f} against itself instead of {wanted:.3f}")

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        fetch = min(self.rows.segment.rows, top_k + _SPARE + len(self.rows.dead))
        if allowed is not None or fetch > _MOST:
            return self.plain.search(queries, top_k, allowed=allowed)
        with self._lock:
            _, found = self.index.search(np.ascontiguousarray(queries), fetch)
        best = []
        for query, row in zip(queries, found, strict=True):
            ids = row[(row >= 0) & ~self.rows.is_dead(row)].astype(np.int64)
            best.append(top(ids, self.rows.gather(ids) @ query, top_k))
        return padded(best, top_k)
