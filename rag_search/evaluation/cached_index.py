"""An evaluation from settings: ingest the set into an index of its own in the cache, then ask its questions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rag_search.config import Config
from rag_search.embed.base import CachesQueries, Embedder
from rag_search.engines import factory
from rag_search.engines.open import manifest_of
from rag_search.errors import FingerprintError, InputError, MissingExtraError
from rag_search.evaluation.dataset import Dataset, load_dataset, read_corpus
from rag_search.index import open_reader, open_writer
from rag_search.ingest import IngestOptions, Step, sync_folders, sync_texts
from rag_search.records import SearchOptions, System
from rag_search.search.searcher import Searcher

try:
    from rag_search.evaluation.evaluate import SYSTEMS, Evaluation, evaluate
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "eval") from error

Progress = Callable[[str, int, int], None]


def measure(
    config: Config,
    folder: Path,
    *,
    qrels: str | None = None,
    split: str | None = None,
    systems: Sequence[System] = SYSTEMS,
    limit: int | None = None,
    on_progress: Progress = lambda *_: None,
) -> Evaluation:
    """Evaluate `systems` on the set in `folder` with the engines of the settings."""
    dataset = load_dataset(folder, qrels=qrels, split=split)
    if limit:
        dataset = replace(dataset, queries=dataset.queries[:limit])
    settings = config.settings
    embedder = factory.make_embedder(settings)
    place = index_of(config, dataset)
    fill_index(place, dataset, embedder, max_tokens=settings.ingest.max_tokens, on_progress=on_progress)
    total, done = len(dataset.queries) * len(systems), iter(range(1, 10**9))
    reranker = factory.make_reranker(settings, embedder)
    with ExitStack() as readers:

        def make_searcher() -> Searcher:
            if isinstance(embedder, CachesQueries):
                embedder.clear_query_cache()
            return Searcher(readers.enter_context(open_reader(place)), embedder, reranker)

        return evaluate(
            make_searcher,
            dataset,
            document_id=lambda path: path,
            systems=systems,
            options=SearchOptions(candidates=settings.search.candidates),
            on_query=lambda: on_progress("asking", next(done), total),
        )


def index_of(config: Config, dataset: Dataset) -> Path:
    """The cached index of a set: one for each folder and way of reading it."""
    key = f"{dataset.root.resolve()}|{dataset.docs is not None}|{config.settings.ingest.max_tokens}"
    return config.settings.cache_dir / "evaluate" / f"{dataset.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def fill_index(
    place: Path, dataset: Dataset, embedder: Embedder, *, max_tokens: int, on_progress: Progress = lambda *_: None
) -> None:
    """Make the index in `place` equal to the documents of the set; a cache of another engine is made anew."""

    def on_step(step: Step) -> None:
        on_progress("ingesting", step.bytes, step.bytes_total)

    options = IngestOptions(max_tokens=max_tokens, prune=True)
    manifest = manifest_of(embedder)
    try:
        writer = open_writer(place, manifest)
    except FingerprintError:  # a cache of ours, made by another engine: nothing of the user's is lost
        writer = open_writer(place, manifest, rebuild=True)
    with writer:
        if dataset.docs is not None:
            docs = dataset.docs.resolve()  # judged by path below it, however the set was named
            try:
                sync_folders(writer, embedder, [docs], base=docs, options=options, on_step=on_step)
            except InputError as error:  # its remedies are options of the command `ingest`
                raise InputError(error.message, remedy=f"The documents of the set belong into {docs}.") from error
        else:
            rows = read_corpus(dataset.root / "corpus.jsonl")
            sync_texts(writer, embedder, rows, options=options, on_step=on_step)
