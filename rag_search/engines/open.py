"""Open the index of a configuration together with the engines that read or write it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rag_search.config import Config, Settings
from rag_search.embed.base import Embedder, VerifiesFiles
from rag_search.engines.factory import begin_embedder, make_reranker
from rag_search.errors import ConfigError, RagSearchError
from rag_search.index import (
    IndexManifest,
    ReadStore,
    WriteStore,
    derived_index,
    open_reader,
    open_writer,
)

if TYPE_CHECKING:
    from rag_search.engines.table import Use
    from rag_search.index import FileState, Problem
    from rag_search.index.postgres.connection import Place
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


def reading(config: Config) -> ReadStore:
    """Open the index for reading. Raises IndexMissingError, StoreUnavailableError."""
    if config.settings.store.url:
        from rag_search.index.postgres import opening

        return opening.open_reader(_place(config))
    return open_reader(config.index_dir, vectors=derived_index(config.settings.vectors.backend))


def indexed_files(config: Config) -> list[tuple[str, FileState]]:
    """Return path and state of each file of the index; none if it cannot be read, as one of another version."""
    try:
        with reading(config) as reader:
            return list(reader.files())
    except RagSearchError:
        return []


@contextmanager
def writing(config: Config, embedder: Embedder, *, rebuild: bool = False) -> Iterator[WriteStore]:
    """Open the index for writing by this embedder, once the files of its model are known to be sound.

    Raises EngineError, FingerprintError, IndexLockedError, StoreUnavailableError.
    """
    if isinstance(embedder, VerifiesFiles):
        embedder.verify_files()
    with writing_as(config, manifest_of(embedder), rebuild=rebuild) as writer:
        yield writer


def writing_as(config: Config, manifest: IndexManifest, *, rebuild: bool = False) -> WriteStore:
    """Open the index for writing by whatever made `manifest`. Raises as `writing`."""
    if config.settings.store.url:
        from rag_search.index.postgres import opening

        return opening.open_writer(_place(config), manifest, rebuild=rebuild)
    vectors = derived_index(config.settings.vectors.backend)
    return open_writer(config.index_dir, manifest, vectors=vectors, rebuild=rebuild)


def verify_index(config: Config) -> list[Problem]:
    """Return what is wrong with the index; an empty list when it is sound. Raises IndexMissingError."""
    if config.settings.store.url:
        from rag_search.index.postgres.verify import verify as verify_database

        return verify_database(_place(config))
    from rag_search.index import verify

    return verify(config.index_dir)


def describe_store(config: Config) -> str:
    """Return the servers that hold the index, with their versions. Raises StoreUnavailableError, ConfigError."""
    from rag_search.index.postgres import opening

    return opening.describe_servers(_place(config))


def config_at(config: Config, place: str) -> Config:
    """Return the configuration with another index.

    place: a name, a path with a slash, `.` for the index of this project, or postgresql://host/database#NAME.
    """
    url, _, name = place.partition("#")
    is_remote = "://" in url
    store = replace(config.settings.store, url=url if is_remote else None)
    if place == ".":
        return replace(config, settings=replace(config.settings, store=store))
    index = (name or "default") if is_remote else place
    settings = replace(config.settings, store=store, index=index)
    return replace(config, settings=settings, origins={**config.origins, "index": "argument"})


def _place(config: Config) -> Place:
    """Return the database and the name of the index in it. Raises ConfigError, MissingExtraError."""
    from rag_search.index.postgres.connection import Place

    store = config.settings.store
    if not (store.url or "").startswith(("postgresql://", "postgres://")):
        raise ConfigError("store.url is not an address of PostgreSQL.", remedy="Write it as postgresql://host/database")
    return Place(
        store.url or "",
        config.settings.index,
        vectors=store.vectors,
        answer_s=store.timeout_s,
        has_terms=bool(store.vectors) and store.bm25 == "vectors",
    )


@contextmanager
def searching(config: Config, *, rerank: bool = True) -> Iterator[Searcher]:
    """Open a searcher over the index. Raises IndexMissingError, FingerprintError."""
    with reading(config) as reader:
        yield make_searcher(config.settings, reader, rerank=rerank)


def make_searcher(
    settings: Settings,
    reader: ReadStore,
    *,
    rerank: bool = True,
    use: Use = "many texts",
    meanwhile: Callable[[], object] = lambda: None,
) -> Searcher:
    """Build a searcher over an open index.

    use: how many queries it answers. meanwhile: called while the builtin embedder opens its network in another thread.
    Raises EngineError, and FingerprintError when another embedder made the index.
    """
    built = begin_embedder(settings, use=use)
    from rag_search.search.searcher import Searcher  # here, since it takes as long as a third of the opening

    check_fingerprint(reader, built.model)
    reranker = make_reranker(settings, built.model) if rerank else None
    searcher = Searcher(reader, built.model, reranker, settings.search.options)
    meanwhile()
    built.wait()
    return searcher


def check_fingerprint(reader: ReadStore, embedder: Embedder) -> None:
    """Raise FingerprintError unless this embedder made the index. The dimension shows in the query's vector."""
    reader.manifest.require_match(manifest_of(embedder, dim=reader.manifest.dim), path=reader.path)
