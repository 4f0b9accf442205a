"""Models loaded once, searching the newest generation of the index."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rag_search.config import Config
from rag_search.embed.base import Embedder
from rag_search.engines import factory
from rag_search.engines.base_folder import base_folder
from rag_search.engines.open import check_fingerprint, reading
from rag_search.errors import RagSearchError
from rag_search.index import ReadStore
from rag_search.records import SearchOptions, SearchResult
from rag_search.render.paths import PathMapper
from rag_search.rerank.base import Reranker
from rag_search.search.freshness import mark_changed
from rag_search.search.searcher import Searcher

Request = tuple[str, SearchOptions]
RETRY_S = 1.0  # before an index that cannot be used is tried again


@dataclass(slots=True)
class _Generation:
    """An open reader, a searcher over it, the number of their users, and whether a newer generation is there.

    base: the folder that the paths of its documents are relative to.
    """

    reader: ReadStore
    searcher: Searcher
    base: Path
    leases: int = 0
    retired: bool = False

    def close_if_unused(self) -> None:
        """Close the reader if it was replaced and no search uses it."""
        if self.retired and not self.leases:
            self.reader.close()


class LiveSearcher:
    """Search with one pair of models from any number of threads, always over the newest index."""

    def __init__(self, config: Config, embedder: Embedder, reranker: Reranker | None) -> None:
        self.config = config
        self.embedder = embedder
        self.reranker = reranker
        self._backends = factory.choose_backends(config.settings)
        self._lock = threading.Lock()
        self._model_lock = threading.Lock() if self.single_threaded else nullcontext()
        self._generation: _Generation | None = None
        self._warning, self._retry_at = "", 0.0
        self._cwd = Path.cwd()  # asked for once: the folder may be removed while the server runs

    @classmethod
    def load(cls, config: Config) -> LiveSearcher:
        """Load the models. The index need not exist yet."""
        embedder = factory.make_embedder(config.settings)
        return cls(config, embedder, factory.make_reranker(config.settings, embedder))

    @property
    def single_threaded(self) -> bool:
        """Whether a model in this process cannot be called from several threads at once."""
        return self._backends.single_threaded

    @property
    def default_batch_size(self) -> int:
        """Requests in one model call.

        The built-in model encodes one text at a time, so larger batches only add waiting time.
        """
        return self._backends.embedding.batch_size

    def model_lock(self) -> AbstractContextManager[object]:
        """Return the lock to hold during a model call; it does nothing if models may be called concurrently."""
        return self._model_lock

    def search_many(self, requests: Sequence[Request]) -> list[SearchResult]:
        """Answer several queries over one generation.

        Raises what a Searcher raises, and IndexMissingError.
        """
        return list(self.answers(requests))

    def answers(self, requests: Sequence[Request]) -> Iterator[SearchResult]:
        """Yield what `search_many` returns, each result as soon as it is ready."""
        with self.model_lock(), self._leased() as generation:
            for result in generation.searcher.answers(requests):
                marked = mark_changed(result, generation.reader, generation.base)
                yield replace(marked, notes=(*marked.notes, self._warning)) if self._warning else marked

    @property
    def mapper(self) -> PathMapper:
        """The mapper of stored paths to those that this process shows. It does not read the index for each reply."""
        generation = self._generation
        return PathMapper(base_folder(self.config) if generation is None else generation.base, self._cwd)

    @contextmanager
    def lease(self) -> Iterator[Searcher]:
        """Provide a Searcher over the newest generation, which stays open until the block ends."""
        with self._leased() as generation:
            yield generation.searcher

    @contextmanager
    def reader(self) -> Iterator[ReadStore]:
        """Provide the reader of the newest generation, for documents and counts."""
        with self._leased() as generation:
            yield generation.reader

    @contextmanager
    def _leased(self) -> Iterator[_Generation]:
        """Provide the newest generation, which stays open until the block ends."""
        with self._lock:
            generation = self._newest()
            generation.leases += 1
        try:
            yield generation
        finally:
            with self._lock:
                generation.leases -= 1
                generation.close_if_unused()

    def status(self) -> dict[str, Any]:
        """Return the names of the models and what the index contains, as JSON values."""
        names = {"embedder": self.embedder.name, "reranker": self.reranker.name if self.reranker else None}
        with self.reader() as reader:
            counts = reader.counts
            return {
                **names,
                "index": self.config.index_place,
                "generation": str(reader.generation),
                "documents": counts.documents,
                "chunks": counts.chunks,
                "search": reader.kind,
                "warning": self._warning,
            }

    def close(self) -> None:
        """Close the index, or let the last running search close it."""
        with self._lock:
            self._retire(None)

    def _newest(self) -> _Generation:
        current = self._generation
        if current is not None and (time.monotonic() < self._retry_at or not current.reader.is_stale()):
            return current
        try:
            opened = self._open()
        except RagSearchError as error:
            if current is None:
                raise
            self._warning = f"still answering from the former index: {error.message} Restart the server."
            self._retry_at = time.monotonic() + RETRY_S
            return current
        self._warning = ""
        self._retire(opened)
        return opened

    def _open(self) -> _Generation:
        reader = reading(self.config)
        try:
            check_fingerprint(reader, self.embedder)
            base = base_folder(self.config)
        except RagSearchError:
            reader.close()
            raise
        return _Generation(reader, Searcher(reader, self.embedder, self.reranker), base)

    def _retire(self, successor: _Generation | None) -> None:
        former, self._generation = self._generation, successor
        if former is not None:
            former.retired = True
            former.close_if_unused()
