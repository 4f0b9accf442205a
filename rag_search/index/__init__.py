"""The index: `base` says what a store offers; the one on disk begins with `store.layout`, `opening` and `reader`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rag_search.index.base import ReadStore, Selection
    from rag_search.index.dense.base import DerivedIndex, VectorRows, VectorSearch
    from rag_search.index.dense.select import derived_index
    from rag_search.index.opening import open_reader, open_writer
    from rag_search.index.reader import IndexReader
    from rag_search.index.store.layout import OUTDATED, FileState, IndexCounts, IndexManifest
    from rag_search.index.verification import Problem, verify
    from rag_search.index.write_base import StagedStore, WriteStore
    from rag_search.index.writer import IndexWriter

_PLACES = {  # a query imports neither the writer nor `verify`
    "OUTDATED": "store.layout",
    "DerivedIndex": "dense.base",
    "FileState": "store.layout",
    "IndexCounts": "store.layout",
    "IndexManifest": "store.layout",
    "IndexReader": "reader",
    "IndexWriter": "writer",
    "Problem": "verification",
    "ReadStore": "base",
    "Selection": "base",
    "VectorRows": "dense.base",
    "VectorSearch": "dense.base",
    "StagedStore": "write_base",
    "WriteStore": "write_base",
    "derived_index": "dense.select",
    "open_reader": "opening",
    "open_writer": "opening",
    "verify": "verification",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value


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
    "StagedStore",
    "VectorRows",
    "VectorSearch",
    "WriteStore",
    "derived_index",
    "open_reader",
    "open_writer",
    "verify",
]
