"""The approximate FAISS index as a file beside the vectors: when it pays, how it is written, how it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from rag_search.index.dense.base import VectorRows, VectorSearch
from rag_search.index.store.disk import Disk
from rag_search.index.store.layout import DerivedFile

EXACT_ROWS = 65_536  # a scan of so many rows of 384 columns takes 8 ms, a search by the file over a million 6
_NEWER_SHARE = 0.125  # of exact_rows: rows after the file are scanned, which has to stay cheap
_SUFFIX = ".faiss"


@dataclass(frozen=True)
class FaissFile:
    """DerivedIndex in a file `ann-<generation>.faiss`.

    exact_rows: up to so many rows are searched exactly.
    """

    exact_rows: int = EXACT_ROWS
    name = "faiss"

    def is_due(self, rows: VectorRows) -> bool:
        """Return whether exact search takes too long and the file is absent or has fallen behind."""
        vectors, derived = rows.segment, rows.derived
        if vectors.rows <= self.exact_rows or vectors.columns % 2:
            return False
        if derived is None or not (rows.folder / derived.name).exists():
            return True
        return vectors.rows - derived.rows > _NEWER_SHARE * self.exact_rows

    def build(self, rows: VectorRows, *, generation: int, disk: Disk) -> DerivedFile:
        """Write the file over all rows. A million rows of 384 columns take 10 s."""
        from rag_search.index.dense import faiss_cpu  # heavy; only large indexes come here
        from rag_search.index.store.derived import write_derived

        data = faiss_cpu.build(rows.matrix)
        path = rows.folder / f"ann-{generation:06d}{_SUFFIX}"
        return write_derived(path, data.data, rows=rows.segment.rows, disk=disk)

    def open(self, rows: VectorRows) -> VectorSearch | None:
        """Load the file; None if it is absent, damaged or another backend's."""
        if rows.derived is None or not rows.derived.name.endswith(_SUFFIX):
            return None
        from rag_search.index.store.derived import read_derived

        data = read_derived(rows.folder, rows.derived)
        if data is None:
            return None
        from rag_search.index.dense import faiss_cpu  # heavy

        return faiss_cpu.load(rows, data)
