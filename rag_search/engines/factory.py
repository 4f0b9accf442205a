"""Build embedder and reranker from settings, and check them against known answers before their first use."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from rag_search.config import Settings
from rag_search.embed.base import Embedder, VerifiesFiles
from rag_search.engines.table import EMBEDDERS, PROFILES, RERANKERS, Built, EmbedderEngine, Profile, RerankerEngine, Use
from rag_search.errors import ConfigError, MissingExtraError
from rag_search.rerank.base import Reranker
from rag_search.runtime.nvidia import has_nvidia_driver


@dataclass(frozen=True, slots=True)
class Backends:
    """The engines that the settings name, and the reason for the profile. reranking: None if it is switched off."""

    profile: Profile
    embedder: str
    reranker: str
    reason: str

    @property
    def embedding(self) -> EmbedderEngine:
        """The row of the embedder."""
        return EMBEDDERS[self.embedder]

    @property
    def reranking(self) -> RerankerEngine | None:
        """The row of the reranker; None if it is switched off."""
        return RERANKERS[self.reranker]

    @property
    def single_threaded(self) -> bool:
        """Whether a model in this process takes one call at a time."""
        return self.embedding.single_threaded or (self.reranking is not None and self.reranking.single_threaded)

    def extra_of(self, engine: EmbedderEngine | RerankerEngine) -> str:
        """Return the extra that installs the engine: sentence-transformers is in two, which exclude each other."""
        return "gpu" if self.profile == "gpu" and engine.extra else engine.extra


def choose_backends(settings: Settings) -> Backends:
    """Return profile and backends: an explicit setting wins, else `gpu` when it can work, else `builtin`.

    Raises ConfigError for a reranker that needs token vectors beside an embedder that makes none.
    """
    if settings.profile:
        profile, reason = settings.profile, "set by the profile"
    elif has_nvidia_driver() and all(importlib.util.find_spec(name) for name in ("vllm", "sentence_transformers")):
        profile, reason = "gpu", "a CUDA device and the gpu extra are here"
    else:
        profile, reason = "builtin", "no CUDA device with the gpu extra"
    embedder, reranker = PROFILES[profile]
    backends = Backends(profile, settings.embedder.backend or embedder, settings.reranker.backend or reranker, reason)
    reranking = backends.reranking
    if reranking is not None and reranking.token_vectors and not backends.embedding.token_vectors:
        others = [name for name, row in RERANKERS.items() if row is None or not row.token_vectors]
        raise ConfigError(
            f"the {backends.reranker} reranker reads the builtin embedder's token vectors, "
            f"not those of {backends.embedder!r}.",
            remedy=f"Set reranker.backend to {', '.join(others[:-1])} or {others[-1]}.",
        )
    return backends


def make_embedder(settings: Settings) -> Embedder:
    """Build the embedder of stage one. Raises MissingExtraError or EngineError with the remedy."""
    built = begin_embedder(settings)
    built.wait()
    return built.model


def begin_embedder(settings: Settings, *, use: Use = "many texts") -> Built[Embedder]:
    """Build the embedder, which can be used after `wait`. Raises as `make_embedder`."""
    backends = choose_backends(settings)
    engine, wanted = backends.embedding, settings.embedder
    try:
        built = engine.build(settings, use)
    except MissingExtraError as error:
        raise MissingExtraError(error.package, backends.extra_of(engine)) from error
    if wanted.check and not engine.trusted:
        from rag_search.engines import known_answers  # a query with the builtin engines does without it

        key = f"{built.model.name} {built.model.fingerprint} {wanted.known_answers} {built.process}"
        known_answers.once(settings.cache_dir, key, lambda: check_embedder(settings, built.model))
    return built


def check_embedder(settings: Settings, embedder: Embedder) -> None:
    """Compare the embedder with known answers, and its files with their digests. Raises EngineError."""
    if isinstance(embedder, VerifiesFiles):
        embedder.verify_files()
    from rag_search.embed.batched import BatchedEmbedder
    from rag_search.engines import known_answers

    wanted = settings.embedder
    answers = known_answers.load_answers(wanted.known_answers)
    model = embedder.backend.model if isinstance(embedder, BatchedEmbedder) else ""
    known_answers.check_embedder(embedder, answers, model=model, whole=wanted.dim is None)


def make_reranker(settings: Settings, embedder: Embedder | None) -> Reranker | None:
    """Build the reranker of stage two; None when it is switched off. embedder: None: built if the reranker needs it."""
    backends = choose_backends(settings)
    engine, wanted = backends.reranking, settings.reranker
    if engine is None:
        return None
    if engine.token_vectors and embedder is None:
        embedder = make_embedder(settings)
    try:
        built = engine.build(settings, embedder)
    except MissingExtraError as error:
        raise MissingExtraError(error.package, backends.extra_of(engine)) from error
    if wanted.check and not engine.trusted:
        from rag_search.engines import known_answers  # a query with the builtin engines does without it

        key = f"{built.model.name} {built.model.fingerprint} {wanted.known_answers} {built.process}"
        known_answers.once(settings.cache_dir, key, lambda: check_reranker(settings, built.model))
    return built.model


def check_reranker(settings: Settings, reranker: Reranker) -> None:
    """Compare the reranker with known answers. Raises KnownAnswerError, EngineError."""
    from rag_search.engines import known_answers

    engine, answers = choose_backends(settings).reranking, known_answers.load_answers(settings.reranker.known_answers)
    listwise, remedy = (engine.listwise, engine.remedy) if engine is not None else (False, "")
    known_answers.check_reranker(reranker, answers, listwise=listwise, remedy=remedy)


def make_standalone_reranker(settings: Settings) -> Reranker:
    """Build a reranker for passages that are in no index. Raises ConfigError when it is switched off."""
    reranker = make_reranker(settings, None)
    if reranker is None:
        raise ConfigError("the reranker is switched off.", remedy="Set reranker.backend to something else than none.")
    return reranker
