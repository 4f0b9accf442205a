"""Keep the index of an evaluation set in the cache, so that a second run starts at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from rag_search.config import Config
from rag_search.embed.base import Embedder
from rag_search.engines.open import manifest_of
from rag_search.errors import FingerprintError, InputError
from rag_search.evaluation.dataset import Dataset, read_corpus
from rag_search.index import open_writer
from rag_search.ingest import IngestOptions, Step, sync_folders, sync_texts
from rag_search.runtime.files import require_own

Progress = Callable[[str, int, int], None]  # phase, done, total


def index_of(config: Config, dataset: Dataset) -> Path:
    """Return the folder of a set's index: one for each folder and way of reading it."""
    key = f"{dataset.root.resolve()}|{dataset.docs is not None}|{config.settings.ingest.max_tokens}"
    return config.settings.cache_dir / "evaluate" / f"{dataset.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def fill_index(
    place: Path, dataset: Dataset, embedder: Embedder, *, max_tokens: int, on_progress: Progress = lambda *_: None
) -> None:
    """Make the index in `place` equal to the documents of the set. An index of another embedder is rebuilt.

    Raises ForeignFileError for a folder of another user.
    """

    def on_step(step: Step) -> None:
        on_progress("ingesting", step.bytes, step.bytes_total)

    if place.exists():
        require_own(place, place.stat())
    options = IngestOptions(max_tokens=max_tokens, prune=True)
    manifest = manifest_of(embedder)
    try:
        writer = open_writer(place, manifest)
    except FingerprintError:  # in the cache, so that no work of the user is lost
        writer = open_writer(place, manifest, rebuild=True)
    with writer:
        if dataset.docs is not None:
            docs = dataset.docs.resolve()  # judged by path below it, however the set was named
            try:
                sync_folders(writer, embedder, [docs], base=docs, options=options, on_step=on_step)
            except InputError as error:  # its remedies are options of the command `ingest`
                raise InputError(error.message, remedy=f"Put the documents of the set into {docs}.") from error
        else:
            rows = read_corpus(dataset.corpus)
            sync_texts(writer, embedder, rows, options=options, on_step=on_step)
