"""Put the passage that answers a question first, over any folder of Markdown, in any language.

    from rag_search import ingest, query

Names are loaded on first use, so importing the package costs nothing.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing is imported only where types are checked: a query must not wait for it
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from rag_search.api import evaluate, ingest, query, searching
    from rag_search.errors import RagSearchError
    from rag_search.ingest import IngestReport
    from rag_search.records import Chunk, Document, Hit, SearchOptions, SearchResult, StageScores
    from rag_search.search.searcher import Searcher
else:
    ModuleType = type(sys)

__version__ = "0.1.0"

__all__ = [
    "Chunk",
    "Document",
    "Hit",
    "IngestReport",
    "RagSearchError",
    "SearchOptions",
    "SearchResult",
    "Searcher",
    "StageScores",
    "evaluate",
    "ingest",
    "query",
    "searching",
]

_HOMES = {
    **dict.fromkeys(("evaluate", "ingest", "query", "searching"), "rag_search.api"),
    **dict.fromkeys(("Chunk", "Document", "Hit", "SearchResult", "StageScores"), "rag_search.records"),
    "SearchOptions": "rag_search.records",
    "Searcher": "rag_search.search.searcher",
    "IngestReport": "rag_search.ingest",
    "RagSearchError": "rag_search.errors",
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rag_search' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


class _Package(ModuleType):
    """This package, whose `ingest` is the function also after the package of that name was imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, as the import of a package below this one does."""
        if name != "ingest" or callable(value):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
