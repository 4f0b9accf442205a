"""Divide documents into chunks with `chunk_document`; only `passage` makes passages."""

from rag_search.chunking.chunk import CHUNKING_VERSION, MIN_BUDGET, chunk_document

__all__ = ["CHUNKING_VERSION", "MIN_BUDGET", "chunk_document"]
