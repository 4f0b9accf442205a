"""Replies have the fields that the OpenAPI document names, no more and no fewer."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter

from rag_search.server.schemas import rerank_responses, responses
from tests.server.conftest import MakeClient

TEXTS = ["redis timeout", "weather"]
ASKED = {"query": "redis", "documents": TEXTS}


@pytest.mark.parametrize(
    ("route", "body", "reply"),
    [
        ("/v1/search", {"query": "redis", "min_score": 0.0, "group": False}, responses.SearchReply),
        ("/v1/rerank", ASKED, rerank_responses.RerankReply),
        ("/v2/rerank", ASKED, rerank_responses.RerankReply),
        ("/rerank", ASKED, rerank_responses.RerankReply),
        ("/v1/rerank", {"query": "redis", "passages": TEXTS}, rerank_responses.RerankReply),
        ("/v1/rerank", {"queries": ["redis", "x"], "passages_batch": [TEXTS, []]}, rerank_responses.RerankReply),
        ("/rerank", {"query": "redis", "texts": TEXTS, "return_text": True}, list[rerank_responses.TeiRank]),
        ("/v1/score", {"text_1": "redis", "text_2": TEXTS}, rerank_responses.ScoreReply),
        ("/v1/embeddings", {"input": TEXTS}, responses.EmbeddingsReply),
        ("/v1/embeddings", {"input": "redis", "encoding_format": "base64"}, responses.EmbeddingsReply),
        ("/v1/rerank", {}, responses.ErrorReply),
        ("/rerank", {"texts": []}, responses.TextErrorReply),
        ("/v1/search/batch", {"queries": ["redis", "dump"]}, responses.SearchBatchReply),
        ("/v1/models", None, responses.ModelsReply),
        ("/v1/status", None, responses.StatusReply),
        ("/v1/ranking", {"query": {"text": "redis"}, "passages": [{"text": "x"}]}, rerank_responses.RankingReply),
        ("/v1/rerank", {**ASKED, "top_k": 1, "return_documents": True}, rerank_responses.RerankReply),
        ("/v1/models/any", None, responses.Model),
        ("/info", None, responses.TeiInfo),
        ("/version", None, responses.VersionReply),
        ("/health", None, responses.HealthReply),
        ("/ready", None, responses.ReadyReply),
        ("/meta", None, responses.MetaReply),
    ],
)
def test_reply(make_client: MakeClient, route: str, body: Any, reply: type[BaseModel]) -> None:
    client = make_client()
    answer = (client.get(route) if body is None else client.post(route, json=body)).json()
    adapter = TypeAdapter(reply)
    shown = adapter.dump_python(adapter.validate_python(answer), by_alias=True, exclude_unset=True)
    assert shown == answer


def test_openapi_lists_routes_once_and_the_key(make_client: MakeClient) -> None:
    """The document has every route once, and the key when there is one."""
    document = make_client().get("/openapi.json").json()
    assert {path for path, methods in document["paths"].items() if "post" in methods} == {
        "/v1/search",
        "/v1/search/batch",
        "/v1/rerank",
        "/v2/rerank",
        "/rerank",
        "/v1/ranking",
        "/v1/score",
        "/score",
        "/v1/embeddings",
    }
    assert "securitySchemes" not in document["components"]
    assert "413" in document["paths"]["/v1/rerank"]["post"]["responses"]
    client = make_client(api_key="secret", indexed=False)
    guarded = client.get("/openapi.json", headers={"X-API-Key": "secret"}).json()
    assert set(guarded["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyHeader"}
