"""The served profile without its servers: an error with the remedy, never another engine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from rag_search.config import checked
from rag_search.engines import factory
from rag_search.errors import EngineError
from rag_search.runtime.model_client import Remote


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rag_search.runtime.model_client.FIRST_PAUSE_S", 0.001)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    sections = {"embedder": {"url": url}, "reranker": {"url": url}}
    settings = checked({"profile": "served", "cache_dir": tmp_path, **sections})
    with pytest.raises(EngineError, match=r"the embedding server at .*cannot be reached") as caught:
        factory.make_embedder(settings)
    assert "ragsearch up" in caught.value.remedy
    with pytest.raises(EngineError, match=r"the rerank server at .*cannot be reached"):
        factory.make_reranker(settings, None)


def test_no_address() -> None:
    with pytest.raises(EngineError, match="is not an HTTP address"):
        Remote("localhost:8101", what="x", setting="embedder")
