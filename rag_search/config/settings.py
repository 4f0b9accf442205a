"""Every setting, its range and its default."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr

ENV_PREFIX = "RAGSEARCH_"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EmbedderSettings(_Section):
    """Stage one. `backend` None means: what the profile says."""

    backend: Literal["builtin", "sentence-transformers", "openai"] | None = None
    model: str | None = Field(default=None, description="hub name, local directory, or builtin variant")
    dim: int | None = Field(default=None, ge=8, description="Matryoshka dimension; None: the model's own")
    prompts: Literal["qwen3", "e5", "none"] | None = Field(default=None, description="None: by the model's name")
    tokenizer: str | None = Field(
        default=None, description="folder or hub name to count tokens with; None: the model's"
    )
    check: bool = Field(default=True, description="ask known answers before the first use")
    known_answers: Path | None = Field(default=None, description="JSON with a reference matrix; None: ours")
    url: str | None = Field(default=None, description="base URL of an OpenAI-compatible server, ending in /v1")
    api_key: SecretStr | None = None
    batch_tokens: int = Field(default=16384, ge=512, description="tokens in one batch, padding included")
    timeout_s: float = Field(default=120.0, gt=0)


class RerankerSettings(_Section):
    """Stage two."""

    backend: Literal["late-interaction", "vllm", "rerank-api", "cross-encoder", "none"] | None = None
    model: str | None = None
    api: Literal["vllm", "tei", "cohere", "jina"] | None = Field(default=None, description="None: by the URL")
    check: bool = Field(default=True, description="ask known answers before the first use")
    known_answers: Path | None = Field(default=None, description="JSON with a reference matrix; None: ours")
    url: str | None = Field(default=None, description="base URL of a rerank server, ending in /v1")
    api_key: SecretStr | None = None
    instruction: str | None = Field(default=None, description="default instruction; None: the model's own")
    max_tokens_per_doc: int = Field(default=2048, ge=64, description="longer passages are cut there")
    gpu_memory_utilization: float = Field(default=0.5, gt=0, lt=1)
    timeout_s: float = Field(default=120.0, gt=0)


class SearchSettings(_Section):
    """Numbers of a query."""

    top_k: int = Field(default=5, ge=1, le=1000, description="results printed")
    candidates: int = Field(default=50, ge=1, le=1000, description="depth of stage one")
    min_score: float | None = Field(default=None, description="hide hits that score less")


class IngestSettings(_Section):
    """How folders become chunks."""

    max_tokens: int = Field(default=256, ge=32, le=8192, description="tokens in one passage")
    max_file_mb: float = Field(default=64.0, gt=0, description="larger files are reported as failed")


class ServerSettings(_Section):
    """`ragsearch serve`, and where `query` looks for it."""

    host: str = "127.0.0.1"
    port: int = Field(default=7860, ge=0, le=65535)
    api_key: SecretStr | None = None
    workers: int | None = Field(default=None, ge=1, description="batches at the same time; None: one per core")
    max_batch: int | None = Field(default=None, ge=1, description="requests in one call; None: 8 builtin, else 32")
    max_queue: int = Field(default=256, ge=1, description="requests that wait; more get 429")
    queue_timeout_s: float = Field(default=30.0, gt=0, description="longest wait; then 503")
    body_timeout_s: float = Field(default=15.0, gt=0, description="longest time to send a head, or a body; then 408")
    max_body_mb: float = Field(default=8.0, gt=0, description="larger bodies get 413")
    max_passages: int = Field(default=1000, ge=1, description="passages in one request; more get 413")
    max_passage_chars: int = Field(default=100_000, ge=1, description="longer passages get 413")


class Settings(_Section):
    """All settings, checked."""

    profile: Literal["builtin", "gpu", "served"] | None = Field(default=None, description="None: gpu if possible")
    index: str = Field(default="default", description="name under the index folder, or a path")
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("ragsearch")))
    embedder: EmbedderSettings = EmbedderSettings()
    reranker: RerankerSettings = RerankerSettings()
    search: SearchSettings = SearchSettings()
    ingest: IngestSettings = IngestSettings()
    server: ServerSettings = ServerSettings()


def known_keys() -> list[str]:
    """Every dotted key of Settings."""
    return [key for key, _ in flatten_settings(Settings.model_construct())]


def flatten_settings(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values in the order of their definition."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in type(value).model_fields)
        else:
            yield name, value
