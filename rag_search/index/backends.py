"""Which vector search fits an index. The one place that loads FAISS, and only when the index is large enough."""

from __future__ import annotations

from rag_search.index.vectors import ScanSearch, VectorRows, VectorSearch

NUMPY_BYTES = 32 * 2**20  # below this a scan by NumPy takes less than loading FAISS


def choose_vector_search(rows: VectorRows) -> VectorSearch:
    """The fastest search whose answers can be trusted. Raises MissingExtraError when it needs FAISS and has none."""
    if rows.segment.bytes <= NUMPY_BYTES:
        return ScanSearch(rows)
    from rag_search.index import faiss_search  # the heavy leaf

    return faiss_search.open_search(rows)
