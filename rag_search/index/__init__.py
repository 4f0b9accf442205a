"""The index: `base` says what a store offers; the one on disk begins with `store.layout`, `opening` and `reader`."""

from __future__ import annotations

from rag_search.index.base import ReadStore, Selection, WriteStore
from rag_search.index.dense.base import DerivedIndex, VectorRows, VectorSearch
from rag_search.index.dense.select import derived_index
from rag_search.index.opening import open_reader, open_writer
from rag_search.index.reader import IndexReader
from rag_search.index.store.layout import OUTDATED, FileState, IndexCounts, IndexManifest
from rag_search.index.verify import Problem, verify
from rag_search.index.writer import IndexWriter

__all__ = [
    "OUTDATED",
    "DerivedIndex",
    "FileState",
    "IndexCounts",
    "IndexManifest",
    "IndexReader",
    "IndexWriter",
    "Problem",
    "ReadStore",
    "Selection",
    "VectorRows",
    "VectorSearch",
    "WriteStore",
    "derived_index",
    "open_reader",
    "open_writer",
    "verify",
]
