"""The records that travel through the pipeline.

They are frozen: a stage returns new ones and never changes its input.
"""

from rag_search.records.documents import Chunk, Document, DocumentFacts
from rag_search.records.hits import EngineNames, Hit, SearchOptions, SearchResult, Sibling, StageScores, System
from rag_search.records.vectors import (
    CountTokens,
    Encoded,
    EncodedQueries,
    EncodedQuery,
    FloatMatrix,
    FloatVector,
    TokenVectors,
    packed_bytes,
)

__all__ = [
    "Chunk",
    "CountTokens",
    "Document",
    "DocumentFacts",
    "Encoded",
    "EncodedQueries",
    "EncodedQuery",
    "EngineNames",
    "FloatMatrix",
    "FloatVector",
    "Hit",
    "SearchOptions",
    "SearchResult",
    "Sibling",
    "StageScores",
    "System",
    "TokenVectors",
    "packed_bytes",
]
