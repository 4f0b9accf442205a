"""Searching the vectors: what every way of doing it takes and gives, and the plain one that the others must agree with.

`ScanSearch` is NumPy over the mapped file: the fastest up to about twenty thousand rows (no import of FAISS, 40 ms
of a cold query), the one for filtered searches of any size, and the oracle in the tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.index.store.layout import AnnFile
from rag_search.index.store.segments import Segment
from rag_search.records import FloatMatrix, FloatVector

IdMatrix = NDArray[np.int64]
Ids = NDArray[np.int64]
_BLOCK_ROWS = 8192
_PRODUCT_ROWS = 512


class VectorSearch(Protocol):
    """One way to find the nearest rows. kind: for people. Safe to call from many threads."""

    @property
    def kind(self) -> str: ...

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """The living rows with the largest dot products: ids and scores (q, top_k), best first, ties by row.

        queries: float32 (q, dim). allowed: only these rows, sorted; None for all. Where there are fewer than `top_k`
        rows, the rest has id -1 and score -inf.
        """
        ...


@dataclass(frozen=True)
class VectorRows:
    """The rows of one generation. dead: sorted rows of removed chunks. ann: the cache over the first rows, if any."""

    segment: Segment
    dead: Ids
    ann: AnnFile | None

    @property
    def folder(self) -> Path:
        return self.segment.path.parent

    @cached_property
    def matrix(self) -> FloatMatrix:
        """All rows, dead ones too, mapped and not copied: (rows, dim)."""
        return self.segment.matrix()

    def living(self, allowed: Ids | None = None, *, start: int = 0) -> Ids:
        """Sorted rows from `start` on that may be found."""
        if allowed is None:
            allowed = np.arange(start, self.segment.rows, dtype=np.int64)
        else:
            allowed = allowed[np.searchsorted(allowed, start) : np.searchsorted(allowed, self.segment.rows)]
        return allowed[~self.is_dead(allowed)]

    def is_dead(self, ids: Ids) -> NDArray[np.bool_]:
        return in_sorted(ids, self.dead)

    def gather(self, ids: Ids) -> FloatMatrix:
        """Copies of some rows, in the order of `ids`."""
        return self.segment.read(ids, np.ones(len(ids), np.int64))


@dataclass(frozen=True)
class ScanSearch:
    """Exact, by NumPy."""

    rows: VectorRows
    kind = "exact (numpy)"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        return scan(queries, top_k, self.rows, self.rows.living(allowed))


def scan(queries: FloatMatrix, top_k: int, rows: VectorRows, wanted: Ids) -> tuple[IdMatrix, FloatMatrix]:
    """The best `top_k` of the sorted rows `wanted`, block by block: memory does not grow with the index."""
    best: list[tuple[Ids, FloatVector]] = [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
    for ids, block, places in _blocks(rows.matrix, wanted):
        scores = _dots(queries, block)[:, places]
        for i, (kept_ids, kept_scores) in enumerate(best):
            best[i] = top(np.concatenate([kept_ids, ids]), np.concatenate([kept_scores, scores[i]]), top_k)
    return padded(best, top_k)


def _dots(queries: FloatMatrix, block: FloatMatrix) -> FloatMatrix:
    """`queries @ block.T`: (q, rows of the block).

    One query at a time, so that its scores do not depend on the queries beside it (BLAS adds up in another order when
    there are more), and in products so small that BLAS starts no threads: waiting for them took 16 ms beside other
    work, the product 0.2.
    """
    parts = [block[i : i + _PRODUCT_ROWS].T for i in range(0, len(block), _PRODUCT_ROWS)]
    return np.stack([np.concatenate([query @ part for part in parts]) for query in queries])


def top(ids: Ids, scores: FloatVector, top_k: int) -> tuple[Ids, FloatVector]:
    """The `top_k` largest scores with their ids, best first, ties by id."""
    if top_k < len(scores):
        worst = np.partition(scores, -top_k)[-top_k]
        keep = np.flatnonzero(scores >= worst)
        ids, scores = ids[keep], scores[keep]
    order = np.lexsort((ids, -scores))[:top_k]
    return ids[order], scores[order]


def in_sorted(ids: Ids, known: Ids) -> NDArray[np.bool_]:
    """Which of `ids` (any shape) stand in the sorted `known`."""
    if not len(known):
        return np.zeros(ids.shape, np.bool_)
    found: NDArray[np.bool_] = known[np.searchsorted(known, ids).clip(max=len(known) - 1)] == ids
    return found


def padded(best: list[tuple[Ids, FloatVector]], top_k: int) -> tuple[IdMatrix, FloatMatrix]:
    """One row per query; id -1 and score -inf where it found less than `top_k`."""
    ids = np.full((len(best), top_k), -1, np.int64)
    scores = np.full((len(best), top_k), -np.inf, np.float32)
    for i, (found, values) in enumerate(best):
        ids[i, : len(found)], scores[i, : len(found)] = found, values
    return ids, scores


def _blocks(matrix: FloatMatrix, wanted: Ids) -> Iterator[tuple[Ids, FloatMatrix, Ids | slice]]:
    """`wanted` in blocks: ids, rows of the matrix, and which of these rows are the ids'.

    Where few rows stand between the ids, these are read along: that is quicker than to copy the others.
    """
    for i in range(0, len(wanted), _BLOCK_ROWS):
        ids = wanted[i : i + _BLOCK_ROWS]
        first, last = int(ids[0]), int(ids[-1])
        if last - first + 1 == len(ids):
            yield ids, matrix[first : last + 1], slice(None)
        elif last - first < 2 * len(ids):
            yield ids, matrix[first : last + 1], ids - first
        else:
            yield ids, matrix[ids], slice(None)
