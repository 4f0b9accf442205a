"""Ingest, query and evaluate from Python, as the command line does.

    import rag_search

    rag_search.ingest(["docs"])
    for hit in rag_search.query("how do I rotate the keys?").hits:
        print(hit.score, hit.chunk.path, hit.chunk.line_start)

`searching` keeps the engine loaded for many queries. Without SearchOptions those of the settings apply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_search.config import load_config
from rag_search.documents import Selection
from rag_search.engines import factory
from rag_search.engines.base_folder import base_folder, prepared_index
from rag_search.engines.open import indexed_files, writing
from rag_search.engines.open import searching as open_searcher
from rag_search.errors import InputError
from rag_search.index import open_reader
from rag_search.ingest import IngestOptions, IngestReport, require_documents, sync_folders
from rag_search.records import SearchOptions, SearchResult, System
from rag_search.search.searcher import Searcher

if TYPE_CHECKING:
    from rag_search.evaluation.cached_index import Progress
    from rag_search.evaluation.evaluate import Evaluation


def ingest(
    paths: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    index: str | None = None,
    settings: Mapping[str, Any] | None = None,
    rebuild: bool = False,
) -> IngestReport:
    """Make the index equal to the folders `paths`.

    Args:
        paths: a folder or file, or several. Documents of other folders stay in the index.
        index: name, or path with a slash; None: that of the settings.
        settings: dotted keys, such as {"ingest.max_tokens": 512}, above environment and files.
        rebuild: start again, for another embedder.

    Returns:
        What changed. It also holds the failures of single files.

    Raises:
        RagSearchError: InputError, IndexLockedError, FingerprintError and others.
    """
    folders = [Path(paths)] if isinstance(paths, str | PathLike) else [Path(path) for path in paths]
    if not folders:
        raise InputError("no folder is named.", remedy='Pass one: ingest("docs")')
    config = load_config({**(settings or {}), "index": index}, ingested=folders)
    limits = config.settings.ingest
    selection = Selection(tuple(limits.include), tuple(limits.exclude), limits.follow_links)
    options = IngestOptions(limits.max_tokens, int(limits.max_file_mb * 2**20), selection=selection)
    embedder = factory.make_embedder(config.settings)
    base = base_folder(config)
    if rebuild:  # opening empties the index, so what cannot be ingested is an error before
        require_documents(indexed_files(config), folders, base=base, options=options)
    with prepared_index(config), writing(config, embedder, rebuild=rebuild) as writer:
        return sync_folders(writer, embedder, folders, base=base, options=options)


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


def evaluate(
    folder: str | PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    qrels: str | None = None,
    split: str | None = None,
    systems: Sequence[System] | None = None,
    limit: int | None = None,
    on_progress: Progress = lambda *_: None,
) -> Evaluation:
    """Measure how often the right document comes first, on a set of questions and judgments.

    The documents are ingested into an index of their own in the cache.

    Args:
        folder: a BEIR folder, or one with docs/ and qrels.tsv.
        settings: dotted keys, above environment and files.
        qrels: name of the judgments; needed if there are several.
        split: only the questions of this split.
        systems: None: dense, bm25, hybrid and rerank.
        limit: only the first questions.
        on_progress: called with phase, done and total.

    Raises:
        RagSearchError: InputError, MissingExtraError and others.
    """
    from rag_search.evaluation import evaluate as evaluation
    from rag_search.evaluation.cached_index import fill_index, index_of
    from rag_search.evaluation.dataset import load_dataset

    config = load_config(settings or {})
    dataset = load_dataset(Path(folder), qrels=qrels, split=split)
    if limit:
        dataset = replace(dataset, queries=dataset.queries[:limit])
    embedder = factory.make_embedder(config.settings)
    place, max_tokens = index_of(config, dataset), config.settings.ingest.max_tokens
    fill_index(place, dataset, embedder, max_tokens=max_tokens, on_progress=on_progress)
    with open_reader(place) as reader:
        absent = dataset.absent(reader.documents())
    reranker = factory.make_reranker(config.settings, embedder)
    systems = evaluation.SYSTEMS if systems is None else systems
    total, done = len(dataset.queries) * len(systems), iter(range(1, 10**9))
    with ExitStack() as readers:
        measured = evaluation.evaluate(
            lambda: Searcher(readers.enter_context(open_reader(place)), embedder, reranker),
            dataset,
            document_id=lambda path: path,
            systems=systems,
            options=SearchOptions(candidates=config.settings.search.candidates),
            on_query=lambda: on_progress("asking", next(done), total),
        )
    return replace(measured, absent=absent)
