"""Documents to chunks. `chunk_document` is the door; passages are made in `passage` only."""

from rag_search.chunking.chunk import MIN_BUDGET, chunk_document

__all__ = ["MIN_BUDGET", "chunk_document"]
