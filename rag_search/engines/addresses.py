"""Find the addresses and models of the two model servers."""

from __future__ import annotations

from typing import Literal

from rag_search.config import Settings

EMBEDDING_MODEL, RERANKER_MODEL = "Qwen/Qwen3-Embedding-4B", "Qwen/Qwen3-Reranker-4B"


def address_of(settings: Settings, part: Literal["embedder", "reranker"]) -> tuple[str, str]:
    """Return URL and model of a server: what is set, else what `ragsearch up` has started, else its defaults."""
    from rag_search.engines.vllm_server.commands import DEFAULT_URLS
    from rag_search.engines.vllm_server.processes import read_servers, servers_folder

    wanted = settings.embedder if part == "embedder" else settings.reranker
    url = wanted.url or DEFAULT_URLS[part]
    started = {s.url: s.model for s in read_servers(servers_folder(settings.cache_dir)) if s.alive}
    default = EMBEDDING_MODEL if part == "embedder" else RERANKER_MODEL
    return url, wanted.model or started.get(url, default)
