"""The table of vector backends, and exact search by whichever library is faster.

FAISS is imported only for an index large enough, or for a backend that asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rag_search.errors import ConfigError
from rag_search.index.dense.base import DerivedIndex, VectorRows, VectorSearch
from rag_search.index.dense.exact import IN_MEMORY_BYTES, NoDerivedIndex, ScanSearch
from rag_search.index.dense.faiss_file import FaissFile
from rag_search.runtime.nvidia import has_nvidia_driver

NUMPY_BYTES = IN_MEMORY_BYTES  # below this a scan by NumPy takes less time than importing FAISS


def search_exactly(rows: VectorRows) -> VectorSearch:
    """Return exact search over `rows`. Raises MissingExtraError when it needs FAISS, which is not installed."""
    if rows.segment.bytes <= NUMPY_BYTES:
        return ScanSearch(rows)
    from rag_search.index.dense import faiss_cpu  # heavy

    return faiss_cpu.ExactSearch(rows)


@dataclass(frozen=True)
class AutoIndex(FaissFile):
    """DerivedIndex that fits the machine: NumPy for a small index, the FAISS file for a large one, GPUs if usable."""

    name = "auto"

    def open(self, rows: VectorRows) -> VectorSearch | None:
        """Open the fastest search that works here; None for a small index."""
        if rows.segment.bytes <= NUMPY_BYTES:
            return None
        plain = super().open(rows)
        return on_gpu(rows, plain) if has_nvidia_driver() else plain


@dataclass(frozen=True)
class GpuIndex(FaissFile):
    """DerivedIndex that searches on the GPUs, whatever the size; its FAISS file answers when they cannot."""

    name = "faiss-gpu"

    def open(self, rows: VectorRows) -> VectorSearch | None:
        """Copy the rows to the GPUs."""
        return on_gpu(rows, super().open(rows))


def on_gpu(rows: VectorRows, plain: VectorSearch | None) -> VectorSearch:
    """Return a search on the GPUs, else `plain` (None: exact search) with the reason in its `kind`."""
    from rag_search.index.dense import faiss_cpu, faiss_gpu  # heavy; the first sets what the wheel's libraries read

    return faiss_gpu.prefer_gpu(rows, plain or faiss_cpu.ExactSearch(rows), faiss_cpu.LIBRARY)


BACKENDS: Mapping[str, DerivedIndex] = {
    backend.name: backend for backend in (AutoIndex(), NoDerivedIndex(), FaissFile(), GpuIndex())
}


def derived_index(name: str) -> DerivedIndex:
    """Return the backend that the setting `vectors.backend` names. Raises ConfigError for an unknown name."""
    try:
        return BACKENDS[name]
    except KeyError:
        raise ConfigError(
            f"vectors.backend {name!r} is unknown.", remedy=f"Use one of {', '.join(BACKENDS)}."
        ) from None
