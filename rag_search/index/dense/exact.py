"""Exact search by NumPy over the mapped file.

It is the fastest way up to about twenty thousand rows, where importing FAISS (40 ms) would cost more than the scan.
Filtered searches of any size use it, and tests take it as their oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rag_search.index.dense.base import HalfMatrix, IdMatrix, Ids, VectorRows, VectorSearch
from rag_search.index.store.disk import Disk
from rag_search.index.store.layout import DerivedFile
from rag_search.records import FloatMatrix, FloatVector

IN_MEMORY_BYTES = 16 * 2**20  # of stored rows; up to so many are converted to float32 once, and kept
_BLOCK_ROWS = 8192
_PRODUCT_ROWS = 512


@dataclass(frozen=True)
class ScanSearch:
    """VectorSearch by dot products with every row."""

    rows: VectorRows
    kind = "exact (numpy)"

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """Return the best live rows; see VectorSearch."""
        return scan(queries, top_k, self.rows, self.rows.live(allowed))


@dataclass(frozen=True)
class NoDerivedIndex:
    """DerivedIndex that derives nothing: every search reads all rows, whatever their number."""

    name = "exact"

    def is_due(self, rows: VectorRows) -> bool:  # noqa: ARG002
        """Return False: there is nothing to build."""
        return False

    def build(self, rows: VectorRows, *, generation: int, disk: Disk) -> DerivedFile:  # noqa: ARG002
        """Raise ValueError: there is nothing to build."""
        raise ValueError(f"nothing to build for {rows.folder}")

    def open(self, rows: VectorRows) -> VectorSearch | None:
        """Return the scan."""
        return ScanSearch(rows)


def scan(queries: FloatMatrix, top_k: int, rows: VectorRows, ids: Ids) -> tuple[IdMatrix, FloatMatrix]:
    """Return the best `top_k` of the sorted `ids`.

    It works block by block, so memory does not grow with the index.
    """
    best: list[tuple[Ids, FloatVector]] = [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
    matrix = rows.floats if rows.matrix.nbytes <= IN_MEMORY_BYTES else rows.matrix
    for block_ids, block, places in _blocks(matrix, ids):
        scores = _dots(queries, block)[:, places]
        for i, (kept_ids, kept_scores) in enumerate(best):
            best[i] = top(np.concatenate([kept_ids, block_ids]), np.concatenate([kept_scores, scores[i]]), top_k)
    return padded(best, top_k)


def _dots(queries: FloatMatrix, block: FloatMatrix | HalfMatrix) -> FloatMatrix:
    """Return `queries @ block.T`: (q, rows of the block).

    One query at a time: BLAS adds in another order for several, and scores must not depend on the other queries.
    In small products: BLAS then starts no threads. Waiting for them took 16 ms under load, the product 0.2.
    """
    starts = range(0, len(block), _PRODUCT_ROWS)
    parts = [np.asarray(block[i : i + _PRODUCT_ROWS], np.float32).T for i in starts]
    return np.stack([np.concatenate([query @ part for part in parts]) for query in queries])


def top(ids: Ids, scores: FloatVector, top_k: int) -> tuple[Ids, FloatVector]:
    """Return the `top_k` largest scores with their ids, best first, ties by id."""
    if top_k < len(scores):
        worst = np.partition(scores, -top_k)[-top_k]
        keep = np.flatnonzero(scores >= worst)
        ids, scores = ids[keep], scores[keep]
    order = np.lexsort((ids, -scores))[:top_k]
    return ids[order], scores[order]


def padded(best: list[tuple[Ids, FloatVector]], top_k: int) -> tuple[IdMatrix, FloatMatrix]:
    """Stack the results of the queries; id -1 and score -inf where a query has fewer than `top_k`."""
    ids = np.full((len(best), top_k), -1, np.int64)
    scores = np.full((len(best), top_k), -np.inf, np.float32)
    for i, (row_ids, row_scores) in enumerate(best):
        ids[i, : len(row_ids)], scores[i, : len(row_ids)] = row_ids, row_scores
    return ids, scores


def _blocks(matrix: FloatMatrix | HalfMatrix, ids: Ids) -> Iterator[tuple[Ids, FloatMatrix | HalfMatrix, Ids | slice]]:
    """Yield `ids` in blocks: ids, rows of the matrix, and which of these rows belong to the ids.

    A block with few other rows in between is read with them: that is faster than copying the wanted rows.
    """
    for i in range(0, len(ids), _BLOCK_ROWS):
        block = ids[i : i + _BLOCK_ROWS]
        first, last = int(block[0]), int(block[-1])
        if last - first + 1 == len(block):
            yield block, matrix[first : last + 1], slice(None)
        elif last - first < 2 * len(block):
            yield block, matrix[first : last + 1], block - first
        else:
            yield block, matrix[block], slice(None)
