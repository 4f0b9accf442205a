"""Open the index of a configuration together with the engines that read or write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rag_search.config import Config, Settings
from rag_search.embed.base import Embedder
from rag_search.engines.factory import begin_embedder, make_reranker
from rag_search.index import IndexManifest, IndexReader, IndexWriter, derived_index, open_reader, open_writer

if TYPE_CHECKING:
    from rag_search.search.searcher import Searcher


def manifest_of(embedder: Embedder, *, dim: int | None = None) -> IndexManifest:
    """Return the manifest of an index that this embedder fills.

    dim: dimensions of its vectors, if they are known; some embedders ask a server.
    """
    from rag_search.text.terms import LEXICAL_VERSION

    return IndexManifest(
        embedder_name=embedder.name,
        embedder_fingerprint=embedder.fingerprint,
        dim=embedder.dim if dim is None else dim,
        token_dim=embedder.token_dim,
        lexical_version=LEXICAL_VERSION,
    )


def reading(config: Config) -> IndexReader:
    """Open the index for reading. Raises IndexMissingError."""
    return open_reader(config.index_dir, vectors=derived_index(config.settings.vectors.backend))


@contextmanager
def writing(config: Config, embedder: Embedder, *, rebuild: bool = False) -> Iterator[IndexWriter]:
    """Open the index for writing by this embedder. Raises FingerprintError, IndexLockedError."""
    vectors = derived_index(config.settings.vectors.backend)
    with open_writer(config.index_dir, manifest_of(embedder), vectors=vectors, rebuild=rebuild) as writer:
        yield writer


@contextmanager
def searching(config: Config, *, rerank: bool = True) -> Iterator[Searcher]:
    """Open a searcher over the index. Raises IndexMissingError, FingerprintError."""
    with reading(config) as reader:
        yield make_searcher(config.settings, reader, rerank=rerank)


def make_searcher(
    settings: Settings, reader: IndexReader, *, rerank: bool = True, meanwhile: Callable[[], object] = lambda: None
) -> Searcher:
    """Build a searcher over an open index.

    meanwhile: called while the builtin embedder opens its network in another thread.
    Raises EngineError, and FingerprintError when another embedder made the index.
    """
    built = begin_embedder(settings)
    from rag_search.search.searcher import Searcher  # here, since it takes as long as a third of the opening

    check_fingerprint(reader, built.model)
    reranker = make_reranker(settings, built.model) if rerank else None
    searcher = Searcher(reader, built.model, reranker, settings.search.options)
    meanwhile()
    built.wait()
    return searcher


def check_fingerprint(reader: IndexReader, embedder: Embedder) -> None:
    """Raise FingerprintError unless this embedder made the index. The dimension shows in the query's vector."""
    reader.manifest.require_match(manifest_of(embedder, dim=reader.manifest.dim), path=reader.path)
