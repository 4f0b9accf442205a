"""Real clients pointed at a running server by its URL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_search.announcing import announcement_file
from rag_search.config import load_config
from tests.cli.conftest import Run, model_cache, project, run

__all__ = ["model_cache", "project", "run"]  # fixtures
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours to mend
TEXTS = ["The weather is fine.", "Raise maxTotal when Redis connections time out."]
QUERY = "redis connection timeout"


@pytest.fixture
def url(project: Path, run: Run) -> Iterator[str]:
    assert run("ingest", "docs").code == 0
    command = [sys.executable, "-m", "rag_search.cli.app", "serve", "--port", "0", "--log-file", "log.jsonl"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "listening" not in process.stderr.readline():
            assert process.poll() is None
        yield str(json.loads(announcement_file(load_config({})).read_text("utf-8"))["url"])
        process.terminate()


def test_cohere(url: str) -> None:
    cohere = pytest.importorskip("cohere", reason="the Cohere SDK is not installed")
    client = cohere.ClientV2(api_key="none", base_url=url)
    reply = client.rerank(model="any", query=QUERY, documents=TEXTS, top_n=1)
    assert [result.index for result in reply.results] == [1]


def test_openai(url: str) -> None:
    openai = pytest.importorskip("openai", reason="the OpenAI SDK is not installed")
    client = openai.OpenAI(api_key="none", base_url=f"{url}/v1")
    reply = client.embeddings.create(model="any", input=TEXTS)
    assert [len(row.embedding) for row in reply.data] == [384, 384]
    assert len(client.models.list().data) == 2


def test_haystack(url: str) -> None:
    pytest.importorskip("haystack", reason="Haystack is not installed")
    vllm = pytest.importorskip("haystack_integrations.components.rankers.vllm", reason="no vllm-haystack")
    from haystack import Document

    ranker = vllm.VLLMRanker(model="any", api_base_url=f"{url}/v1")
    ranked = ranker.run(query=QUERY, documents=[Document(content=text) for text in TEXTS])["documents"]
    assert [document.content for document in ranked] == TEXTS[::-1]
