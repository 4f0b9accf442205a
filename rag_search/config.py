"""Settings and where each of them came from.

flags > environment (`RAGSEARCH_*`, nested with `__`) > project `ragsearch.toml` > user `config.toml` > defaults.
Every layer is read as a plain dict, the dicts are merged, and pydantic checks the result once, so that `config show`
can name the origin of each value and an unknown key is an error wherever it stands.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from rag_search.errors import ConfigError

PROJECT_FILE = "ragsearch.toml"
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
    max_tokens_per_doc: int = Field(default=2048, ge=16)
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
    max_batch: int = Field(default=32, ge=1, description="requests in one model call")
    max_queue: int = Field(default=256, ge=1, description="requests that wait; more get 429")
    queue_timeout_s: float = Field(default=30.0, gt=0, description="longest wait; then 503")
    body_timeout_s: float = Field(default=15.0, gt=0, description="longest time to send a body; then 408")
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


class _Environment(BaseSettings, Settings):
    """Settings as pydantic-settings reads them from the environment."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid")


@dataclass(frozen=True)
class Config:
    """Checked settings, the origin of each dotted key ("defaults" when absent) and the project file, if any."""

    settings: Settings
    origins: Mapping[str, str]
    project_file: Path | None

    @property
    def index_dir(self) -> Path:
        """Folder of the index: a path as given, else `indexes/NAME` beside ragsearch.toml, else XDG data."""
        name = self.settings.index
        if "/" in name or os.sep in name:
            return Path(name).expanduser().absolute()
        home = self.project_file.parent if self.project_file else Path(platformdirs.user_data_dir("ragsearch"))
        return home / "indexes" / name

    @property
    def base_dir(self) -> Path:
        """Document paths below this folder are stored relative to it, so a project can be moved with its index."""
        return self.project_file.parent if self.project_file else self.index_dir


def load_config(flags: Mapping[str, Any] | None = None, *, cwd: Path | None = None) -> Config:
    """Read every layer. `flags` maps dotted keys to values; None values are "not given".

    Raises ConfigError for an unknown key, a bad value or broken TOML, naming the file or variable.
    """
    project_file = find_project_file(cwd or Path.cwd())
    user_file = Path(platformdirs.user_config_dir("ragsearch")) / "config.toml"
    layers = [
        (str(user_file), _read_toml(user_file)),
        (str(project_file), _read_toml(project_file) if project_file else {}),
        ("environment", _read_environment()),
        ("flag", _unflatten({key: value for key, value in (flags or {}).items() if value is not None})),
    ]
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    known = known_keys()
    for origin, layer in layers:
        for key, value in _flatten(layer):
            if key not in known:
                raise ConfigError(f"unknown setting {key!r} ({origin}).", remedy=_did_you_mean(key, known))
            origins[key] = _name_origin(origin, key)
            _put(merged, key, value)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise _explain(error, origins) from error
    return Config(settings=settings, origins=origins, project_file=project_file)


def find_project_file(start: Path) -> Path | None:
    """The nearest ragsearch.toml at or above `start`."""
    for folder in (start.absolute(), *start.absolute().parents):
        if (folder / PROJECT_FILE).is_file():
            return folder / PROJECT_FILE
    return None


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


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", remedy="Mend the file or remove it.") from error


def _read_environment() -> dict[str, Any]:
    known = {ENV_PREFIX + key.replace(".", "__").upper() for key in known_keys()}
    for name in os.environ:
        if name.startswith(ENV_PREFIX) and name.upper() not in known:
            raise ConfigError(f"unknown environment variable {name}.", remedy=_did_you_mean(name, sorted(known)))
    try:
        return EnvSettingsSource(_Environment)()
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"the environment holds a value that cannot be read: {error}.") from error


def _explain(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    origin = origins.get(key, "defaults")
    return ConfigError(f"setting {key!r} ({origin}): {problem['msg']}.", remedy="See: ragsearch config show")


def _did_you_mean(word: str, choices: list[str]) -> str:
    close = difflib.get_close_matches(word, choices, n=1)
    return f"Did you mean {close[0]}?" if close else "See: ragsearch config show"


def _name_origin(origin: str, key: str) -> str:
    return ENV_PREFIX + key.replace(".", "__").upper() if origin == "environment" else origin


def _flatten(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in layer.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in flat.items():
        _put(nested, key, value)
    return nested


def _put(nested: dict[str, Any], key: str, value: Any) -> None:
    *parents, leaf = key.split(".")
    for parent in parents:
        nested = nested.setdefault(parent, {})
    nested[leaf] = value
