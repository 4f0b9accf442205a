"""Define every setting, its range and its default.

Plain dataclasses, because most commands run with the defaults, and a library that checks values takes 70 ms to import.
`checked` makes settings of given values; pydantic reads the limits from the fields' metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import platformdirs

from rag_search.records import SearchOptions

if TYPE_CHECKING:
    from pydantic import TypeAdapter

ENV_PREFIX = "RAGSEARCH_"
PATH_KEYS = frozenset({"cache_dir", "embedder.known_answers", "reranker.known_answers"})


_LONGEST_S = 1e6  # eleven days: the system takes no infinite time limit
_LARGEST_MB = 1e6
_MANY = 10**9
_DEEPEST = 3  # levels that a key is spelled out to: settings have two, and a hostile file has thousands


def _setting(default: Any, description: str = "", **limits: float) -> Any:
    """Define a field of a section. limits: pydantic's, such as ge=1."""
    return field(default=default, metadata={"description": description, **limits})


def _secret() -> Any:
    """Define a field that is never printed."""
    return field(default=None, repr=False, metadata={"secret": True})


class _Section:
    """A group of settings; unknown keys are errors."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}


@dataclass(frozen=True)
class EmbedderSettings(_Section):
    """Stage one. `backend` None: that of the profile."""

    backend: Literal["builtin", "sentence-transformers", "openai"] | None = None
    model: str | None = _setting(None, "hub name, local directory, or builtin variant")
    dim: int | None = _setting(None, "Matryoshka dimension; None: the model's own", ge=8, le=_MANY)
    prompts: Literal["qwen3", "e5", "none"] | None = _setting(None, "None: by the model's name")
    tokenizer: str | None = _setting(None, "folder or hub name to count tokens with; None: the model's")
    check: bool = _setting(True, "ask known answers before the first use")
    known_answers: Path | None = _setting(None, "JSON with a reference matrix; None: ours")  # noqa: RUF009 (it is a field)
    url: str | None = _setting(None, "base URL of an OpenAI-compatible server, ending in /v1")
    api_key: str | None = _secret()
    threads: int | None = _setting(None, "texts at a time, builtin model; None: one for each core", ge=1, le=1024)
    batch_tokens: int = _setting(16384, "tokens in one batch, padding included", ge=512, le=_MANY)
    timeout_s: float = _setting(120.0, gt=0, le=_LONGEST_S)


@dataclass(frozen=True)
class RerankerSettings(_Section):
    """Stage two."""

    backend: Literal["late-interaction", "onnx", "vllm", "rerank-api", "cross-encoder", "none"] | None = None
    model: str | None = _setting(None, "hub name, folder, or .onnx file")
    read_top: int = _setting(10, "best passages that an onnx model reads after late interaction", ge=1, le=1000)
    api: Literal["vllm", "tei", "cohere", "jina"] | None = _setting(None, "None: guessed from the URL; set it for TEI")
    check: bool = _setting(True, "ask known answers before the first use")
    known_answers: Path | None = _setting(None, "JSON with a reference matrix; None: ours")  # noqa: RUF009 (it is a field)
    url: str | None = _setting(None, "base URL of a rerank server, ending in /v1 (tei: its root)")
    api_key: str | None = _secret()
    instruction: str | None = _setting(None, "default instruction; None: the model's own")
    max_tokens_per_doc: int = _setting(2048, "longer passages are cut there", ge=64, le=_MANY)
    gpu_memory_utilization: float = _setting(0.5, gt=0, lt=1)
    timeout_s: float = _setting(120.0, gt=0, le=_LONGEST_S)


@dataclass(frozen=True)
class SearchSettings(_Section):
    """Numbers of a query."""

    top_k: int = _setting(5, "results printed", ge=1, le=1000)
    candidates: int = _setting(50, "depth of stage one", ge=1, le=1000)
    min_score: float | None = _setting(None, "hide hits that score less", allow_inf_nan=False)

    @property
    def options(self) -> SearchOptions:
        """Default options of a query: on the command line, over HTTP and MCP, and in Python."""
        return SearchOptions(top_k=self.top_k, candidates=self.candidates, min_score=self.min_score)


@dataclass(frozen=True)
class IngestSettings(_Section):
    """How folders become chunks."""

    max_tokens: int = _setting(256, "tokens in one passage", ge=32, le=8192)
    max_file_mb: float = _setting(64.0, "larger files are reported as failed", gt=0, le=_LARGEST_MB)
    include: tuple[str, ...] = _setting((), "patterns of files of other kinds to read, such as *.txt")
    exclude: tuple[str, ...] = _setting((), "patterns of files and folders not to read")
    follow_links: bool = _setting(False, "follow links that lead out of the folders")


@dataclass(frozen=True)
class VectorSettings(_Section):
    """How the nearest vectors are found."""

    backend: Literal["auto", "exact", "faiss", "faiss-gpu"] = _setting("auto", "auto: by size and GPU")


@dataclass(frozen=True)
class ServerSettings(_Section):
    """`ragsearch serve`, and where `query` looks for it."""

    host: str = "127.0.0.1"
    hosts: tuple[str, ...] = _setting((), "further Host names of clients, such as host.docker.internal")
    port: int = _setting(7860, ge=0, le=65535)
    api_key: str | None = _secret()
    workers: int | None = _setting(None, "batches at the same time; None: one per core", ge=1, le=1024)
    max_batch: int | None = _setting(None, "requests in one call; None: 1 builtin, else 32", ge=1, le=_MANY)
    max_queue: int = _setting(256, "requests that wait; more get 429", ge=1, le=_MANY)
    queue_timeout_s: float = _setting(30.0, "longest wait; then 503", gt=0, le=_LONGEST_S)
    body_timeout_s: float = _setting(15.0, "longest time to send a head, or a body; then 408", gt=0, le=_LONGEST_S)
    max_body_mb: float = _setting(8.0, "larger bodies get 413", gt=0, le=_LARGEST_MB)
    max_passages: int = _setting(1000, "passages in one request; more get 413", ge=1, le=_MANY)
    max_passage_chars: int = _setting(100_000, "longer passages get 413", ge=1, le=_MANY)


@dataclass(frozen=True)
class StoreSettings(_Section):
    """A database that several machines share, instead of a folder here."""

    url: str | None = _setting(None, "postgresql://user@host/database; None: a folder on this machine", secret=True)
    vectors: str | None = _setting(None, "milvus://host:19530/collection for dense search; None: the database")
    bm25: Literal["database", "vectors"] = _setting("database", "who searches by words; vectors: Milvus 2.4 or later")
    timeout_s: float = _setting(30.0, "longest wait for one answer of the store", gt=0, le=_LONGEST_S)


@dataclass(frozen=True)
class CliSettings(_Section):
    """The command line."""

    editor: str | None = _setting(None, "command that opens a hit; None: $VISUAL, else $EDITOR")
    auto_serve: bool = _setting(False, "a query starts a server in the background when there is none")
    links: str = _setting("file", "address behind a path: file, vscode, cursor, windsurf, zed, idea, or a template")


@dataclass(frozen=True)
class Settings(_Section):
    """All settings. Made by `checked`, or with all defaults."""

    profile: Literal["builtin", "quality", "gpu", "served"] | None = _setting(None, "None: gpu if possible")
    index: str = _setting("default", "name under the index folder, or a path")
    cache_dir: Path = field(default_factory=lambda: Path(platformdirs.user_cache_dir("ragsearch")))
    embedder: EmbedderSettings = EmbedderSettings()
    reranker: RerankerSettings = RerankerSettings()
    search: SearchSettings = SearchSettings()
    ingest: IngestSettings = IngestSettings()
    vectors: VectorSettings = VectorSettings()
    store: StoreSettings = StoreSettings()
    server: ServerSettings = ServerSettings()
    cli: CliSettings = CliSettings()


def checked(values: Mapping[str, Any]) -> Settings:
    """Return settings with `values`, nested by section, in place of defaults. Raises pydantic's ValidationError."""
    if not values:
        return Settings()
    return _settings_adapter().validate_python(values)


@cache
def _settings_adapter() -> TypeAdapter[Settings]:
    """Return the validator. A server checks settings for each query, and making it takes 10 ms."""
    from pydantic import TypeAdapter

    return TypeAdapter(Settings)


def known_keys() -> list[str]:
    """Return every dotted key of Settings."""
    return [key for key, _ in flatten_settings(Settings())]


def flatten_settings(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values in the order of their definition; a secret that is set is stars."""
    for section in fields(settings):
        value = getattr(settings, section.name)
        if is_dataclass(value):
            yield from ((f"{section.name}.{inner.name}", _public(value, inner)) for inner in fields(value))
        else:
            yield section.name, value


def _public(section: Any, setting: Any) -> Any:
    """Return the value of a setting, stars for a secret."""
    value = getattr(section, setting.name)
    return "*" * 10 if value and setting.metadata.get("secret") else value


def flatten(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values."""
    for key, value in layer.items():
        if isinstance(value, Mapping) and prefix.count(".") < _DEEPEST:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Nest dotted keys."""
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        put(nested, key, value)
    return nested


def put(nested: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in a nested dict."""
    *parents, leaf = key.split(".")
    for parent in parents:
        nested = nested.setdefault(parent, {})
    nested[leaf] = value
