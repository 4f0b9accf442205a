"""Which vector search fits an index. The one place that loads FAISS, and only when the index is large enough."""

from __future__ import annotations

from rag_search.index.dense.exact import ScanSearch, VectorRows, VectorSearch
from rag_search.runtime.nvidia import has_nvidia_driver

NUMPY_BYTES = 32 * 2**20  # below this a scan by NumPy takes less than loading FAISS


def choose_vector_search(rows: VectorRows) -> VectorSearch:
    """The fastest search whose answers can be trusted. Raises MissingExtraError when it needs FAISS and has none."""
    if rows.segment.bytes <= NUMPY_BYTES:
        return ScanSearch(rows)
    from rag_search.index.dense import faiss_cpu  # the heavy leaf

    plain = faiss_cpu.open_search(rows)
    if not has_nvidia_driver():
        return plain
    import faiss

    from rag_search.index.dense.faiss_gpu import prefer_gpu

    return prefer_gpu(rows, plain, faiss)
