"""Ingest and query from Python, as the command line does.

    import rag_search

    rag_search.ingest(["docs"])
    for hit in rag_search.query("how do I rotate the keys?").hits:
        print(hit.score, hit.chunk.path, hit.chunk.line_start)

`searching` keeps the engine loaded for many queries. Without SearchOptions those of the settings apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from rag_search.config import load_config
from rag_search.engines import factory
from rag_search.engines.base_folder import base_folder
from rag_search.engines.open import searching as open_searcher
from rag_search.engines.open import writing
from rag_search.ingest import IngestOptions, IngestReport, sync_folders
from rag_search.records import SearchOptions, SearchResult
from rag_search.search.searcher import Searcher


def ingest(
    paths: Sequence[str | PathLike[str]],
    *,
    index: str | None = None,
    settings: Mapping[str, Any] | None = None,
    rebuild: bool = False,
) -> IngestReport:
    """Make the index equal to the folders `paths`.

    Args:
        paths: folders or files. Documents of other folders stay in the index.
        index: name, or path with a slash; None: that of the settings.
        settings: dotted keys, such as {"ingest.max_tokens": 512}, above environment and files.
        rebuild: start again, for another embedder.

    Returns:
        What changed. It also holds the failures of single files.

    Raises:
        RagSearchError: InputError, IndexLockedError, FingerprintError and others.
    """
    config = load_config({**(settings or {}), "index": index})
    limits = config.settings.ingest
    options = IngestOptions(limits.max_tokens, int(limits.max_file_mb * 2**20))
    embedder = factory.make_embedder(config.settings)
    with writing(config, embedder, rebuild=rebuild) as writer:
        return sync_folders(writer, embedder, [Path(path) for path in paths], base=base_folder(config), options=options)


def query(
    text: str,
    *,
    index: str | None = None,
    settings: Mapping[str, Any] | None = None,
    options: SearchOptions | None = None,
) -> SearchResult:
    """Return the passages that answer `text`, best first. Loads the engine each time; see `searching`.

    Args:
        text: the question; a leading [...] is an instruction.
        index: name, or path with a slash; None: that of the settings.
        settings: dotted keys, above environment and files.
        options: of this query; None: top_k, candidates and min_score of the settings.

    Raises:
        RagSearchError: InputError, IndexMissingError, FingerprintError and others.
    """
    with searching(index=index, settings=settings) as searcher:
        return searcher.search(text, options)


@contextmanager
def searching(*, index: str | None = None, settings: Mapping[str, Any] | None = None) -> Iterator[Searcher]:
    """Open a warm searcher over one generation of the index: `searcher.search(text, options)`, as in `query`.

    Args:
        index: name, or path with a slash; None: that of the settings.
        settings: dotted keys, above environment and files.
    """
    with open_searcher(load_config({**(settings or {}), "index": index})) as searcher:
        yield searcher
