"""Our retrievers inside the frameworks they are for: what `ragsearch query` finds, and its errors."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rag_search.errors import InputError, ServerError
from rag_search.integrations.client import search
from tests.clients.served import Project

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # their warnings are not ours to mend
QUESTION = "[面向新手] 如何解决Redis连接超时"
ANY_SCORE = {"min_score": 0.0}


class Elsewhere(BaseHTTPRequestHandler):
    """Answers a POST with a page of HTML."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def hits(project: Project) -> list[dict[str, Any]]:
    """What the command line finds in its own process."""
    found = project.run("query", QUESTION, "--format", "json", "--min-score", "0", "-k", "2", "--no-server")
    return json.loads(found)["hits"]  # type: ignore[no-any-return]


def facts(hit: dict[str, Any]) -> tuple[str, float, dict[str, Any]]:
    metadata = {name: hit[name] for name in ("path", "title", "heading_path", "line_start", "line_end")}
    return hit["text"], pytest.approx(hit["score"], abs=1e-4), metadata


def test_passages_are_those_of_the_command_line(url: str, hits: list[dict[str, Any]]) -> None:
    found = search(f"{url}/", QUESTION, top_k=2, options=ANY_SCORE)
    assert [(p.text, p.score, p.metadata) for p in found] == [facts(hit) for hit in hits]
    assert [p.id for p in found] == [p.id for p in search(url, QUESTION, top_k=2, options=ANY_SCORE)]
    (ops,) = search(url, QUESTION, options={"where": {"category": "ops"}, "min_score": 0.0})
    assert ops.metadata["path"] == "docs/backup.md"
    assert search(url, "best pizza dough hydration") == []


def test_errors_say_what_to_do(url: str, guarded: str) -> None:
    with pytest.raises(InputError, match="the query is empty"):
        search(url, " ")
    with pytest.raises(InputError, match="topk"):
        search(url, "x", options={"topk": 3})
    with pytest.raises(ServerError, match="RAGSEARCH_SERVER__API_KEY"):
        search(guarded, "x", api_key="wrong")
    with pytest.raises(ServerError, match="ragsearch serve"):
        search("http://127.0.0.1:9", "x")
    with pytest.raises(ServerError, match="there is no such route"):
        search(f"{url}/elsewhere", "x")
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.handle_request).start()
        with pytest.raises(ServerError, match="is not a ragsearch server"):
            search(f"http://127.0.0.1:{other.server_port}", "x")


def test_the_key_is_taken_from_the_environment(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGSEARCH_SERVER__API_KEY", "secret")
    assert search(guarded, QUESTION)


def test_llama_index(url: str, hits: list[dict[str, Any]]) -> None:
    pytest.importorskip("llama_index.core", reason="LlamaIndex is not installed")
    from rag_search.integrations.llama_index import RagSearchRetriever

    retriever = RagSearchRetriever(url, top_k=2, options=ANY_SCORE)
    for found in (retriever.retrieve(QUESTION), asyncio.run(retriever.aretrieve(QUESTION))):
        assert [(n.text, n.score, n.metadata) for n in found] == [facts(hit) for hit in hits]


def test_langchain(url: str, guarded: str, hits: list[dict[str, Any]]) -> None:
    pytest.importorskip("langchain_core", reason="LangChain is not installed")
    from langchain_core.runnables import RunnableLambda

    from rag_search.integrations.langchain import RagSearchRetriever

    retriever = RagSearchRetriever(url=url, top_k=2, options=ANY_SCORE)
    for found in (retriever.invoke(QUESTION), asyncio.run(retriever.ainvoke(QUESTION))):
        seen = [(d.page_content, d.metadata.pop("relevance_score"), d.metadata) for d in found]
        assert seen == [facts(hit) for hit in hits]
    chain = copy.deepcopy(retriever) | RunnableLambda(len)
    assert chain.batch([QUESTION, QUESTION]) == [2, 2]
    secret = RagSearchRetriever(url=guarded, api_key="secret")
    assert "'secret'" not in repr(secret)
    assert pickle.loads(pickle.dumps(secret)).invoke(QUESTION)


def test_haystack(url: str, guarded: str, hits: list[dict[str, Any]]) -> None:
    pytest.importorskip("haystack", reason="Haystack is not installed")
    from haystack import Pipeline
    from haystack.components.joiners import DocumentJoiner
    from haystack.utils import Secret

    from rag_search.integrations.haystack import RagSearchRetriever

    pipeline = Pipeline()
    pipeline.add_component("retriever", RagSearchRetriever(url, options=ANY_SCORE))
    pipeline.add_component("joiner", DocumentJoiner(sort_by_score=False))
    pipeline.connect("retriever.documents", "joiner.documents")
    stored = Pipeline.loads(pipeline.dumps(), allowed_modules=["rag_search.integrations.haystack"])
    for loaded in (pipeline, stored):
        found = loaded.run({"retriever": {"query": QUESTION, "top_k": 2}})["joiner"]["documents"]
        assert [(d.content, d.score, d.meta) for d in found] == [facts(hit) for hit in hits]
    assert RagSearchRetriever(guarded, api_key=Secret.from_token("secret")).run(QUESTION)["documents"]
