"""Interfaces of vector search: the rows to search, one way of searching them, and structures derived from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.index.store.disk import Disk
from rag_search.index.store.layout import DerivedFile
from rag_search.index.store.segments import Segment
from rag_search.records import FloatMatrix

HalfMatrix = NDArray[np.float16]
IdMatrix = NDArray[np.int64]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class VectorRows:
    """The vectors of one generation.

    segment: all rows, deleted ones included. deleted: sorted ids of deleted rows. derived: the structure that meta.db
    records for these rows, None without one.
    """

    segment: Segment
    deleted: Ids
    derived: DerivedFile | None = None

    @property
    def folder(self) -> Path:
        """The folder of the index."""
        return self.segment.path.parent

    @cached_property
    def matrix(self) -> HalfMatrix:
        """All rows as stored, mapped and not copied: float16 (rows, dim)."""
        return self.segment.matrix()

    @cached_property
    def floats(self) -> FloatMatrix:
        """All rows as float32, for an index small enough to keep them in memory."""
        return self.matrix.astype(np.float32)

    @property
    def live_count(self) -> int:
        """Number of rows that are not deleted."""
        return self.segment.rows - len(self.deleted)

    def live(self, allowed: Ids | None = None, *, start: int = 0) -> Ids:
        """Return the sorted ids of rows that may be found.

        allowed: sorted ids to choose from, None for all. start: first id to consider.
        """
        if allowed is None:
            allowed = np.arange(start, self.segment.rows, dtype=np.int64)
        else:
            allowed = allowed[np.searchsorted(allowed, start) : np.searchsorted(allowed, self.segment.rows)]
        return allowed[~self.is_deleted(allowed)]

    def is_deleted(self, ids: Ids) -> NDArray[np.bool_]:
        """Return which of `ids` (any shape) are deleted."""
        return in_sorted(ids, self.deleted)

    def gather(self, ids: Ids) -> FloatMatrix:
        """Copy rows in the order of `ids`: float32 (n, dim)."""
        return np.asarray(self.segment.read(ids, np.ones(len(ids), np.int64)), np.float32)


class VectorSearch(Protocol):
    """One way to find the nearest rows, safe to call from many threads.

    kind: name for people, shown by `--explain`.
    """

    @property
    def kind(self) -> str:
        """Name for people."""
        ...

    def search(self, queries: FloatMatrix, top_k: int, *, allowed: Ids | None = None) -> tuple[IdMatrix, FloatMatrix]:
        """Return ids and dot products (q, top_k) of the best live rows, best first, ties by id.

        queries: float32 (q, dim). allowed: sorted ids to choose from, None for all. Where fewer than `top_k` rows
        qualify, the rest has id -1 and score -inf.
        """
        ...


class DerivedIndex(Protocol):
    """A structure built from the stored vectors to search them faster.

    It may be lost at any time and is then built again: meta.db stays the only commit point.
    """

    @property
    def name(self) -> str:
        """Value of the setting `vectors.backend` that chooses it."""
        ...

    def is_due(self, rows: VectorRows) -> bool:
        """Return whether `rows` need the structure and `rows.derived` is absent or has fallen behind."""
        ...

    def build(self, rows: VectorRows, *, generation: int, disk: Disk) -> DerivedFile:
        """Build the structure over all rows and return what meta.db has to record.

        generation: the one that the commit will have; a name with it is new. Raises MissingExtraError.
        """
        ...

    def open(self, rows: VectorRows) -> VectorSearch | None:
        """Open the structure that `rows.derived` records; None if it is absent, damaged or another backend's.

        The caller searches exactly then.
        """
        ...


def in_sorted(ids: Ids, known: Ids) -> NDArray[np.bool_]:
    """Return which of `ids` (any shape) occur in the sorted `known`."""
    if not len(known):
        return np.zeros(ids.shape, np.bool_)
    found: NDArray[np.bool_] = known[np.searchsorted(known, ids).clip(max=len(known) - 1)] == ids
    return found
