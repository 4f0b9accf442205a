"""Documents to chunks. `chunk_document` is the door; passages are made in `passage` only."""

from rag_search.chunking.chunk import CHUNKING_VERSION, MIN_BUDGET, chunk_document

__all__ = ["CHUNKING_VERSION", "MIN_BUDGET", "chunk_document"]
