"""Settings to objects: the only place that imports an engine, and only the one that is wanted."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from rag_search.config import Config, Settings
from rag_search.embed.base import Embedder
from rag_search.engines import known_answers
from rag_search.errors import ConfigError, MissingExtraError
from rag_search.index import IndexManifest, IndexReader, IndexWriter, open_reader, open_writer
from rag_search.rerank.base import Reranker

if TYPE_CHECKING:
    from rag_search.embed.builtin.network import Model
    from rag_search.search.searcher import Searcher

Profile = Literal["builtin", "gpu", "served"]

DEFAULT_MODEL = "docs-e5"
EMBEDDING_MODEL, RERANKER_MODEL = "Qwen/Qwen3-Embedding-4B", "Qwen/Qwen3-Reranker-4B"
_EMBEDDERS = {"builtin": "builtin", "gpu": "sentence-transformers", "served": "openai"}
_RERANKERS = {"builtin": "late-interaction", "gpu": "vllm", "served": "rerank-api"}


@dataclass(frozen=True, slots=True)
class Backends:
    """The engines that the settings name, and why the profile is the one it is."""

    profile: Profile
    embedder: str
    reranker: str
    reason: str


def choose_backends(settings: Settings) -> Backends:
    """Profile and backends. An explicit setting always wins; without one, `gpu` when it can work, else `builtin`."""
    if settings.profile:
        profile, reason = settings.profile, "set by the profile"
    elif _has_cuda() and all(importlib.util.find_spec(name) for name in ("vllm", "sentence_transformers")):
        profile, reason = "gpu", "a CUDA device and the gpu extra are here"
    else:
        profile, reason = "builtin", "no CUDA device with the gpu extra"
    embedder = settings.embedder.backend or _EMBEDDERS[profile]
    reranker = settings.reranker.backend or _RERANKERS[profile]
    if reranker == "late-interaction" and embedder != "builtin":
        raise ConfigError(
            f"the late-interaction reranker reads the builtin embedder's token vectors, not those of {embedder!r}.",
            remedy="Set reranker.backend to vllm, rerank-api, cross-encoder or none.",
        )
    return Backends(profile, embedder, reranker, reason)


def make_embedder(settings: Settings) -> Embedder:
    """The embedder of stage one. Raises MissingExtraError or EngineError with the remedy."""
    embedder, wait = _begin_embedder(settings)
    wait()
    return embedder


def _begin_embedder(settings: Settings) -> tuple[Embedder, Callable[[], object]]:
    """The embedder, and what waits until it is ready: the builtin one opens its network in another thread."""
    backend = choose_backends(settings).embedder
    if backend == "builtin":
        from rag_search.embed.builtin.embedder import BuiltinEmbedder

        builtin = BuiltinEmbedder(cache_dir=settings.cache_dir, model=_builtin_model(settings.embedder.model))
        return builtin, builtin.wait_until_open
    embedder, process = _served_embedder(settings) if backend == "openai" else _local_embedder(settings)
    if settings.embedder.check:
        key = f"{embedder.name} {embedder.fingerprint} {settings.embedder.known_answers} {process}"
        known_answers.once(settings.cache_dir, key, lambda: check_embedder(settings, embedder))
    return embedder, lambda: None


def check_embedder(settings: Settings, embedder: Embedder) -> None:
    """Ask the embedder what is known. Raises KnownAnswerError, EngineError."""
    if choose_backends(settings).embedder == "builtin":
        return
    from rag_search.embed.batched import BatchedEmbedder

    wanted = settings.embedder
    answers = known_answers.load_answers(wanted.known_answers)
    model = embedder.backend.model if isinstance(embedder, BatchedEmbedder) else ""
    known_answers.check_embedder(embedder, answers, model=model, whole=wanted.dim is None)


def address_of(settings: Settings, part: Literal["embedder", "reranker"]) -> tuple[str, str]:
    """URL and model of a server: what is set, else what `ragsearch up` has started, else what it starts by default."""
    from rag_search.engines.vllm_server.commands import DEFAULT_URLS
    from rag_search.engines.vllm_server.processes import read_servers, servers_folder

    wanted = settings.embedder if part == "embedder" else settings.reranker
    url = wanted.url or DEFAULT_URLS[part]
    started = {s.url: s.model for s in read_servers(servers_folder(settings.cache_dir)) if s.alive}
    default = EMBEDDING_MODEL if part == "embedder" else RERANKER_MODEL
    return url, wanted.model or started.get(url, default)


def _served_embedder(settings: Settings) -> tuple[Embedder, str]:
    """The embedder behind a URL, and what tells this run of the server from another."""
    from rag_search.embed.batched import BatchedEmbedder
    from rag_search.embed.openai import OpenAIBackend
    from rag_search.embed.prompts import prompts_of
    from rag_search.runtime.model_client import Remote

    wanted = settings.embedder
    url, model = address_of(settings, "embedder")
    prompts = prompts_of(model, wanted.prompts)
    what = "the embedding server"
    remote = Remote(url, what=what, setting="embedder", api_key=wanted.api_key, timeout_s=wanted.timeout_s)
    backend = OpenAIBackend(remote, model, prompts=prompts, tokenizer=wanted.tokenizer)
    embedder = BatchedEmbedder(backend, prompts, dim=wanted.dim, batch_tokens=wanted.batch_tokens)
    return embedder, remote.process() if wanted.check else ""


def _local_embedder(settings: Settings) -> tuple[Embedder, str]:
    from rag_search.embed.batched import BatchedEmbedder
    from rag_search.embed.prompts import prompts_of

    with _extra_of(settings):
        from rag_search.embed.sentence_transformers import SentenceTransformersBackend

    wanted = settings.embedder
    backend = SentenceTransformersBackend(wanted.model or EMBEDDING_MODEL)
    prompts = prompts_of(backend.model, wanted.prompts) if wanted.prompts else backend.prompts
    return BatchedEmbedder(backend, prompts, dim=wanted.dim, batch_tokens=wanted.batch_tokens), ""


@contextmanager
def _extra_of(settings: Settings) -> Iterator[None]:
    """sentence-transformers comes with two extras, which exclude each other: name the one of the profile."""
    try:
        yield
    except MissingExtraError as error:
        extra = "gpu" if choose_backends(settings).profile == "gpu" else error.extra
        raise MissingExtraError(error.package, extra) from error


def _builtin_model(name: str | None) -> Model:
    from rag_search.embed.builtin.network import Model

    for model in get_args(Model):
        if model == (name or DEFAULT_MODEL):
            return cast("Model", model)
    raise ConfigError(f"unknown builtin model {name!r}.", remedy=f"Models: {', '.join(get_args(Model))}")


def make_reranker(settings: Settings, embedder: Embedder | None) -> Reranker | None:
    """The reranker of stage two, None when it is switched off."""
    backend = choose_backends(settings).reranker
    if backend == "none":
        return None
    if backend == "late-interaction":
        from rag_search.embed.builtin.embedder import BuiltinEmbedder
        from rag_search.rerank.late_interaction import LateInteractionReranker

        if not isinstance(embedder, BuiltinEmbedder):
            raise TypeError(f"choose_backends let {type(embedder).__name__} through")
        return LateInteractionReranker(embedder)
    reranker, process = _served_reranker(settings) if backend == "rerank-api" else (_local_reranker(settings), "")
    if settings.reranker.check:
        key = f"{reranker.name} {reranker.fingerprint} {settings.reranker.known_answers} {process}"
        known_answers.once(settings.cache_dir, key, lambda: check_reranker(settings, reranker))
    return reranker


def check_reranker(settings: Settings, reranker: Reranker) -> None:
    """Ask the reranker what is known. Raises KnownAnswerError, EngineError."""
    if choose_backends(settings).reranker != "late-interaction":
        known_answers.check_reranker(reranker, known_answers.load_answers(settings.reranker.known_answers))


def _served_reranker(settings: Settings) -> tuple[Reranker, str]:
    """The reranker behind a URL, and what tells this run of the server from another."""
    from rag_search.rerank.remote import ApiReranker
    from rag_search.rerank.remote_formats import shape_of
    from rag_search.runtime.model_client import Remote

    wanted = settings.reranker
    url, model = address_of(settings, "reranker")
    what = "the rerank server"
    remote = Remote(url, what=what, setting="reranker", api_key=wanted.api_key, timeout_s=wanted.timeout_s)
    reranker = ApiReranker(
        remote,
        model,
        shape=wanted.api or shape_of(url),
        max_tokens_per_doc=wanted.max_tokens_per_doc,
        default=wanted.instruction,
    )
    return reranker, remote.process() if wanted.check else ""


def _local_reranker(settings: Settings) -> Reranker:
    wanted = settings.reranker
    model = wanted.model or RERANKER_MODEL
    if choose_backends(settings).reranker == "cross-encoder":
        with _extra_of(settings):
            from rag_search.rerank.sentence_transformers import CrossEncoderReranker

        return CrossEncoderReranker(model, max_tokens_per_doc=wanted.max_tokens_per_doc, default=wanted.instruction)
    from rag_search.rerank.vllm import VllmReranker

    return VllmReranker(
        model,
        max_tokens_per_doc=wanted.max_tokens_per_doc,
        gpu_memory_utilization=wanted.gpu_memory_utilization,
        default=wanted.instruction,
    )


def make_standalone_reranker(settings: Settings) -> Reranker:
    """A reranker for passages that are in no index."""
    backend = choose_backends(settings).reranker
    embedder = make_embedder(settings) if backend == "late-interaction" else None
    reranker = make_reranker(settings, embedder)
    if reranker is None:
        raise ConfigError("the reranker is switched off.", remedy="Set reranker.backend to something else than none.")
    return reranker


def manifest_of(embedder: Embedder, *, dim: int | None = None) -> IndexManifest:
    """What an index made by this embedder says of itself. dim: if it is known; some embedders have to ask a server."""
    from rag_search.text.terms import LEXICAL_VERSION

    return IndexManifest(
        embedder_name=embedder.name,
        embedder_fingerprint=embedder.fingerprint,
        dim=embedder.dim if dim is None else dim,
        token_dim=embedder.token_dim,
        lexical_version=LEXICAL_VERSION,
    )


@contextmanager
def writing(config: Config, embedder: Embedder, *, rebuild: bool = False) -> Iterator[IndexWriter]:
    """The index, open for writing by this embedder. Raises FingerprintError, IndexLockedError."""
    with open_writer(config.index_dir, manifest_of(embedder), rebuild=rebuild) as writer:
        yield writer


@contextmanager
def searching(config: Config, *, rerank: bool = True) -> Iterator[Searcher]:
    """A searcher over the index. Raises IndexMissingError, FingerprintError."""
    with open_reader(config.index_dir) as reader:
        yield make_searcher(config.settings, reader, rerank=rerank)


def make_searcher(
    settings: Settings, reader: IndexReader, *, rerank: bool = True, meanwhile: Callable[[], object] = lambda: None
) -> Searcher:
    """Engines for an open index. meanwhile: called while the builtin embedder opens its network in another thread.
    Raises EngineError, and FingerprintError when the index is another embedder's."""
    embedder, wait = _begin_embedder(settings)
    from rag_search.search.searcher import Searcher  # here, since it takes as long as a third of the opening

    check_fingerprint(reader, embedder)
    reranker = make_reranker(settings, embedder) if rerank else None
    searcher = Searcher(reader, embedder, reranker, settings.search.options)
    meanwhile()
    wait()
    return searcher


def check_fingerprint(reader: IndexReader, embedder: Embedder) -> None:
    """Refuse to search vectors of one embedder with queries of another. The dimension shows in the query's vector."""
    reader.manifest.require_match(manifest_of(embedder, dim=reader.manifest.dim), path=reader.path)


def _has_cuda() -> bool:
    return Path("/proc/driver/nvidia/version").exists()
