"""The real servers of these tests: right ones with and without a prefix cache, and seven with one fault each."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from rag_search.rerank.qwen3 import OVERRIDES, TEMPLATE

START_S = 600
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
}
COMMON = ["--runner", "pooling", "--host", "127.0.0.1", "--dtype", "float32", "--max-model-len", "1024"]
COMMON += ["--enforce-eager", "--kv-cache-memory-bytes", str(64 * 2**20)]


@dataclass(frozen=True)
class Server:
    """One running server. pid: end it with `stop`."""

    name: str
    model: str
    url: str
    pid: int
    log: Path

    def stop(self) -> None:
        os.killpg(self.pid, signal.SIGKILL)


def plan(checkpoints: Path, folder: Path) -> dict[str, list[str]]:
    """Name of each server and its arguments; the last seven have one fault each."""
    stock = folder / "stock.jinja"
    stock.write_text(
        TEMPLATE.read_text("utf-8").replace('{{ "\\n\\n" }}', "\n"), "utf-8"
    )  # jinja trims the last newline
    reranker, overrides = ["qwen3-reranker"], ["--hf-overrides", OVERRIDES]
    template = ["--chat-template", str(TEMPLATE)]
    published, own = ["published-qwen3-reranker"], checkpoints / "published-qwen3-reranker" / "chat_template.jinja"
    uncached = "--no-enable-prefix-caching"
    models = {
        "embedder": ["qwen3-embedding"],
        "reranker": [*reranker, *overrides, *template],
        "uncached-embedder": ["qwen3-embedding", uncached],
        "uncached-reranker": [*reranker, *overrides, *template, uncached],
        "published": [*published, *overrides, *template],
        "published-no-template": [*published, *overrides],
        "published-own-template": [*published, *overrides, "--chat-template", str(own)],
        "no-template": [*reranker, *overrides],
        "lost-newline": [*reranker, *overrides, "--chat-template", str(stock)],
        "no-overrides": [*reranker, *template],
        "mean-pooling": ["mean-qwen3-embedding"],
        "no-end-token": ["endless-qwen3-embedding"],
    }
    return {
        name: ["--model", str(checkpoints / model), "--served-model-name", model, *flags, *COMMON]
        for name, (model, *flags) in models.items()
    }


@contextmanager
def running(plans: Mapping[str, list[str]], folder: Path) -> Iterator[dict[str, Server]]:
    """Start all, wait until each answers, and end them."""
    ports = {name: free_port() for name in plans}
    specs = [
        {"log": str(folder / f"{name}.log"), "args": [*args, "--port", str(ports[name])]}
        for name, args in plans.items()
    ]
    (folder / "servers.json").write_text(json.dumps(specs), "utf-8")
    command = [sys.executable, "-m", "tests.vllm.launcher", str(folder / "servers.json")]
    with (folder / "launcher.log").open("w") as errors:
        launcher = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env={**os.environ, **ENVIRONMENT}
        )
    servers: dict[str, Server] = {}
    try:
        assert launcher.stdout is not None
        for name, args in plans.items():
            pid = int(launcher.stdout.readline() or _failed(folder / "launcher.log"))
            url = f"http://127.0.0.1:{ports[name]}/v1"
            servers[name] = Server(name, args[3], url, pid, folder / f"{name}.log")
        for server in servers.values():
            _wait(server)
        yield servers
    finally:
        for server in servers.values():
            if _alive(server.pid):
                server.stop()
        launcher.wait(120)
        if launcher.stdout is not None:
            launcher.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(server: Server) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            if httpx.get(server.url.removesuffix("/v1") + "/health", timeout=5).is_success:
                return
        except httpx.HTTPError:
            pass
        if not _alive(server.pid):
            _failed(server.log)
        time.sleep(0.5)
    _failed(server.log)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def _failed(log: Path) -> str:
    raise RuntimeError(f"{log.name}: {log.read_text(errors='replace')[-3000:]}")
