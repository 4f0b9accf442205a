"""The table of engines: one row for each, with its facts and the function that builds it from settings.

Engine packages are imported here only, and only when chosen. To add an engine: write its module in `embed/` or
`rerank/`, add a row here, and add its name to the setting `embedder.backend` or `reranker.backend`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from rag_search.config import Settings
from rag_search.embed.base import Embedder
from rag_search.engines.addresses import EMBEDDING_MODEL, RERANKER_MODEL, address_of
from rag_search.rerank.base import Reranker

if TYPE_CHECKING:
    pass

Profile = Literal["builtin", "quality", "gpu", "served"]
_Model = TypeVar("_Model")
_Build = TypeVar("_Build")

DEFAULT_MODEL = "docs-e5-2"
READER_MODEL = "Horizon-Labs/multilingual-reranker-small"
READER_REMEDY = (
    "Choose a reranker for English and Chinese, or for one of other languages set reranker.check to false. "
    "To look at the model, run: ragsearch models verify"
)
PROFILES: Mapping[Profile, tuple[str, str]] = {  # embedder and reranker, where the settings name none
    "builtin": ("builtin", "late-interaction"),
    "quality": ("builtin", "onnx"),
    "gpu": ("sentence-transformers", "vllm"),
    "served": ("openai", "rerank-api"),
}


@dataclass(frozen=True, slots=True)
class Built(Generic[_Model]):
    """A model that was just built.

    process: identifies the run of the server behind it, "" if there is none. wait: returns once the model can be used;
    the builtin embedder opens its network in another thread.
    """

    model: _Model
    process: str = ""
    wait: Callable[[], object] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine(Generic[_Build]):
    """One engine, and the facts about it that other modules ask for.

    trusted: ships with its weights, so its known answers are not asked before the first use. token_vectors: an embedder
    makes them, a reranker needs them. single_threaded: runs in this process and takes one call at a time. listwise: a
    score depends on the other passages. batch_size: requests that a server puts into one call. extra: the optional
    dependencies that install it. remedy: what to do when its known answers come in the wrong order.
    """

    build: _Build
    trusted: bool = False
    token_vectors: bool = False
    single_threaded: bool = False
    listwise: bool = False
    batch_size: int = 32
    extra: str = ""
    remedy: str = ""


Use = Literal["few texts", "many texts"]  # what a process does with an embedder before it ends
EmbedderEngine = Engine[Callable[[Settings, Use], Built[Embedder]]]
RerankerEngine = Engine[Callable[[Settings, Embedder | None], Built[Reranker]]]


def _builtin(settings: Settings, use: Use) -> Built[Embedder]:
    """Build the shipped encoder."""
    from rag_search.embed.builtin.embedder import BuiltinEmbedder

    model, threads = settings.embedder.model or DEFAULT_MODEL, settings.embedder.threads
    embedder = BuiltinEmbedder(cache_dir=settings.cache_dir, model=model, threads=threads, few_runs=use == "few texts")
    return Built(embedder, wait=embedder.wait_until_open)


def _sentence_transformers(settings: Settings, _: Use) -> Built[Embedder]:
    """Load any embedding model into this process."""
    from rag_search.embed.batched import BatchedEmbedder
    from rag_search.embed.prompts import prompts_of
    from rag_search.embed.sentence_transformers import SentenceTransformersBackend

    wanted = settings.embedder
    backend = SentenceTransformersBackend(wanted.model or EMBEDDING_MODEL)
    prompts = prompts_of(backend.model, wanted.prompts) if wanted.prompts else backend.prompts
    return Built(BatchedEmbedder(backend, prompts, dim=wanted.dim, batch_tokens=wanted.batch_tokens))


def _openai(settings: Settings, _: Use) -> Built[Embedder]:
    """Connect to the server of embeddings."""
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
    return Built(embedder, process=remote.process() if wanted.check else "")


def _late_interaction(_: Settings, embedder: Embedder | None) -> Built[Reranker]:
    """Build the reranker over the builtin encoder's token vectors."""
    from rag_search.embed.builtin.embedder import BuiltinEmbedder
    from rag_search.rerank.late_interaction import LateInteractionReranker

    if not isinstance(embedder, BuiltinEmbedder):
        raise TypeError(f"choose_backends let {type(embedder).__name__} through")
    return Built(LateInteractionReranker(embedder))


def _onnx(settings: Settings, embedder: Embedder | None) -> Built[Reranker]:
    """Load a cross-encoder in ONNX; it reads the best passages of late interaction where that is at hand."""
    from rag_search.embed.builtin.embedder import BuiltinEmbedder, physical_cores
    from rag_search.engines.models.local import find_model
    from rag_search.rerank.joined import JoinedReranker
    from rag_search.rerank.late_interaction import LateInteractionReranker
    from rag_search.rerank.onnx import OnnxReranker

    wanted = settings.reranker
    found = find_model(wanted.model or READER_MODEL, settings.cache_dir)
    reader = OnnxReranker(
        found.files,
        name=found.name,
        longest=found.longest,
        max_tokens_per_doc=wanted.max_tokens_per_doc,
        threads=physical_cores(),
    )
    if not isinstance(embedder, BuiltinEmbedder):
        return Built(reader)
    return Built(JoinedReranker(LateInteractionReranker(embedder), reader, depth=wanted.read_top))


def _vllm(settings: Settings, _: Embedder | None) -> Built[Reranker]:
    """Load Qwen3-Reranker into this process by vLLM."""
    from rag_search.rerank.vllm import VllmReranker

    wanted = settings.reranker
    reranker = VllmReranker(
        wanted.model or RERANKER_MODEL,
        max_tokens_per_doc=wanted.max_tokens_per_doc,
        gpu_memory_utilization=wanted.gpu_memory_utilization,
        default=wanted.instruction,
    )
    return Built(reranker)


def _rerank_api(settings: Settings, _: Embedder | None) -> Built[Reranker]:
    """Connect to the rerank server."""
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
    return Built(reranker, process=remote.process() if wanted.check else "")


def _cross_encoder(settings: Settings, _: Embedder | None) -> Built[Reranker]:
    """Load a cross-encoder of sentence-transformers into this process."""
    from rag_search.rerank.sentence_transformers import CrossEncoderReranker

    wanted = settings.reranker
    model = wanted.model or RERANKER_MODEL
    return Built(CrossEncoderReranker(model, max_tokens_per_doc=wanted.max_tokens_per_doc, default=wanted.instruction))


EMBEDDERS: Mapping[str, EmbedderEngine] = {
    "builtin": Engine(build=_builtin, trusted=True, token_vectors=True, batch_size=1),  # takes one text at a time
    "sentence-transformers": Engine(build=_sentence_transformers, single_threaded=True, extra="st"),
    "openai": Engine(build=_openai),
}
RERANKERS: Mapping[str, RerankerEngine | None] = {
    "late-interaction": Engine(build=_late_interaction, trusted=True, token_vectors=True, listwise=True),
    "onnx": Engine(build=_onnx, remedy=READER_REMEDY),
    "vllm": Engine(build=_vllm, single_threaded=True, extra="gpu"),
    "rerank-api": Engine(build=_rerank_api),
    "cross-encoder": Engine(build=_cross_encoder, single_threaded=True, extra="st"),
    "none": None,
}
