"""Requests as real clients of other servers send them, and the replies that they need (see docs/server.md)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.server.conftest import MakeClient

TEXTS = ["The weather is fine.", "redis timeout fix", "redis basics"]
BEST_FIRST = [1, 2, 0]
QUERY = "redis timeout"


def order(reply: Any) -> list[int]:
    """Return the indexes of the results of a Cohere reply."""
    assert reply.status_code == 200, reply.text
    return [row["index"] for row in reply.json()["results"]]


def test_dify_tei_can_be_saved(make_client: MakeClient) -> None:
    """Its provider reads /info: the first key of `model_type` must be `reranker`."""
    info = make_client().get("/info").json()
    assert next(iter(info["model_type"])) == "reranker"
    assert info["max_input_length"] > 0
    assert info["model_id"] == "overlap"
    reply = make_client().post("/rerank", json={"query": QUERY, "texts": TEXTS, "return_text": True})
    assert [row["text"] for row in reply.json()] == [TEXTS[i] for i in BEST_FIRST]


def test_dify_xinference_can_be_saved(make_client: MakeClient) -> None:
    """Its provider wants `model_type` "rerank" for any id, also with a slash, and sends strings for JSON."""
    client = make_client()
    assert client.get("/v1/cluster/auth").status_code == 404
    for name in ("bge-reranker", "BAAI/bge-reranker-v2", "late interaction (builtin)"):
        model = client.get(f"/v1/models/{name}").json()
        assert (model["id"], model["model_type"], model["object"]) == (name, "rerank", "model")
    assert client.get("/v1/models/words").json()["model_type"] == "embedding"
    body = {"model": "m", "query": QUERY, "documents": TEXTS, "top_n": None, "max_chunks_per_doc": None}
    body |= {"return_documents": True, "return_len": None, "kwargs": "{}"}
    reply = client.post("/v1/rerank", json=body)
    assert order(reply) == BEST_FIRST
    assert reply.json()["results"][0]["document"] == {"text": TEXTS[1]}


def test_zero_entropy(make_client: MakeClient) -> None:
    """Its SDK posts Cohere's body to a path of its own, below that of the models."""
    body = {"model": "any", "query": QUERY, "documents": TEXTS, "top_n": 2}
    assert order(make_client().post("/v1/models/rerank", json=body)) == BEST_FIRST[:2]


@pytest.mark.parametrize(("yes", "no"), [("true", "false"), ("True", "False"), (True, False), (1, 0), ("1", "0")])
def test_ragflow_xinference_sends_strings(make_client: MakeClient, yes: object, no: object) -> None:
    """RAGFlow's provider for Xinference sends "true" where others send true, and numbers may be strings."""
    body = {"model": "m", "query": QUERY, "documents": TEXTS, "return_documents": yes, "return_len": "true"}
    reply = make_client().post("/v1/rerank", json={**body, "top_n": "2", "max_tokens_per_doc": "512"})
    assert order(reply) == BEST_FIRST[:2]
    assert reply.json()["results"][0]["document"] == {"text": TEXTS[1]}
    body["return_documents"] = no
    assert "document" not in make_client().post("/v1/rerank", json=body).json()["results"][0]


@pytest.mark.parametrize("top_n", [-1, 0, None])
def test_no_limit_of_vllm(make_client: MakeClient, top_n: int | None) -> None:
    """vLLM takes 0 and less for all documents."""
    assert (
        order(make_client().post("/v1/rerank", json={"query": QUERY, "documents": TEXTS, "top_n": top_n})) == BEST_FIRST
    )


def parts(*texts: str) -> dict[str, Any]:
    """Return vLLM's multimodal form of texts."""
    return {"content": [{"type": "text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    "documents",
    [
        [{"text": text} for text in TEXTS],
        [parts(text) for text in TEXTS],  # Dify with vision
        parts(*TEXTS),  # one object, a document in each part
        [{"title": text} for text in TEXTS],  # Cohere's objects of other fields
    ],
)
@pytest.mark.parametrize("query", [QUERY, {"text": QUERY}, parts(QUERY)])
def test_objects_for_strings(make_client: MakeClient, documents: Any, query: Any) -> None:
    """Documents and the query may be objects."""
    assert order(make_client().post("/v1/rerank", json={"query": query, "documents": documents})) == BEST_FIRST


def test_one_document_may_be_a_string(make_client: MakeClient) -> None:
    """As in vLLM."""
    reply = make_client().post("/v1/rerank", json={"query": QUERY, "documents": TEXTS[1]})
    assert reply.json()["results"] == [{"index": 0, "relevance_score": 1.0, "document": {"text": TEXTS[1]}}]


def test_images_are_refused_in_words(make_client: MakeClient) -> None:
    """A picture cannot be ranked; the message says where it is."""
    picture = {"content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}
    reply = make_client().post("/v1/rerank", json={"query": QUERY, "documents": ["x", picture]})
    assert reply.status_code == 422
    assert reply.json()["detail"] == "documents[1] has a content part that is not text. Send text parts only."
    empty = make_client().post("/v1/rerank", json={"query": QUERY, "documents": [{"id": 5}]})
    assert (empty.status_code, empty.json()["error"]["message"]) == (400, "documents[0] has no text.")


def test_rank_fields_of_cohere(make_client: MakeClient) -> None:
    """Only the named fields are ranked; the result has the whole object."""
    documents = [
        {"title": "redis timeout", "body": "x", "note": "weather"},
        {"title": "x", "body": "redis timeout", "note": "y"},
    ]
    client, body = make_client(), {"query": QUERY, "documents": documents}
    assert order(client.post("/v1/rerank", json={**body, "rank_fields": ["title"]})) == [0, 1]
    reply = client.post("/v1/rerank", json={**body, "rank_fields": ["body"], "return_documents": True})
    assert order(reply) == [1, 0]
    assert reply.json()["results"][0]["document"] == {**documents[1], "text": "body: redis timeout"}


def test_other_names_of_score(make_client: MakeClient) -> None:
    """vLLM takes three pairs of names."""
    client = make_client()
    for one, many in (("text_1", "text_2"), ("queries", "documents"), ("queries", "items"), ("data_1", "data_2")):
        reply = client.post("/v1/score", json={one: QUERY, many: TEXTS}).json()
        assert [row["score"] for row in reply["data"]] == [0.0, 1.0, 0.5]
    reply = client.post("/score", json={"data_1": parts(QUERY), "data_2": parts(*TEXTS)}).json()
    assert [row["score"] for row in reply["data"]] == [0.0, 1.0, 0.5]


def test_voyage(make_client: MakeClient) -> None:
    """`top_k` limits, and `data` has the results; documents are strings, and only if asked for."""
    client, body = make_client(), {"query": QUERY, "documents": TEXTS, "model": "rerank-2", "truncation": True}
    reply = client.post("/v1/rerank", json={**body, "top_k": 2}).json()
    assert reply["object"] == "list"
    assert reply["data"] == [{"index": 1, "relevance_score": 1.0}, {"index": 2, "relevance_score": 0.5}]
    assert reply["usage"]["total_tokens"] == 0
    reply = client.post("/v1/rerank", json={**body, "top_k": None, "return_documents": True}).json()
    assert [row["document"] for row in reply["data"]] == [TEXTS[i] for i in BEST_FIRST]


def test_usage_has_every_field(make_client: MakeClient) -> None:
    """Together's client wants `completion_tokens`, LangChain4j `total_tokens` and `search_units`."""
    reply = make_client().post("/v1/rerank", json={"query": QUERY, "documents": TEXTS}).json()
    assert reply["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert reply["meta"]["billed_units"] == {"search_units": 1}


@pytest.mark.parametrize(
    "route", ["/v1/ranking", "/ranking", "/reranking", "/v1/reranking", "/v1/retrieval/nvidia/nv-rerank/reranking"]
)
def test_nvidia_nim(make_client: MakeClient, route: str) -> None:
    """Best first, with a logit."""
    body: dict[str, Any] = {"model": "m", "query": {"text": QUERY}, "passages": [{"text": text} for text in TEXTS]}
    rankings = make_client().post(route, json={**body, "truncate": "END"}).json()["rankings"]
    assert [row["index"] for row in rankings] == BEST_FIRST
    assert rankings[1]["logit"] == 0.0  # of the score 0.5
    assert [rankings[0]["logit"], -rankings[2]["logit"]] == pytest.approx([math.log(1e7)] * 2, abs=1e-5)
    assert len(make_client().post(route, json={**body, "top_n": 1}).json()["rankings"]) == 1


@pytest.mark.parametrize("route", ["/rerank", "/v1/rerank", "/v1/rerank/", "/rerank/", "/v2/rerank"])
def test_tei_at_every_rerank_route(make_client: MakeClient, route: str) -> None:
    """Cherry Studio and LlamaIndex post TEI's form to /v1/rerank, with and without a slash."""
    reply = make_client().post(route, json={"query": QUERY, "texts": TEXTS, "top_n": 2})
    assert [row["index"] for row in reply.json()] == BEST_FIRST[:2]


@pytest.mark.parametrize("route", ["/v1/rerank", "/v2/rerank", "/rerank"])
def test_errors_where_clients_read_them(make_client: MakeClient, route: str) -> None:
    """`message` for Weaviate and the AI SDK, `detail` for Xinference's and Jina's clients, `error` for ours."""
    reply = make_client().post(route, json={"query": " ", "documents": ["x"]})
    assert reply.status_code == 400
    assert reply.json() == {
        "error": {"message": "the query is empty.", "type": "InputError", "code": 400, "remedy": "Write a question."},
        "message": "the query is empty. Write a question.",
        "detail": "the query is empty. Write a question.",
    }
    refused = make_client(api_key="secret").post(route, json={"query": "x", "documents": ["x"]})
    assert (refused.status_code, refused.json()["detail"]) == (401, refused.json()["message"])
    assert "Authorization: Bearer KEY" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"query": "x"}, "documents: Field required"),
        ({"query": 5, "documents": ["x"]}, "query: Input should be a valid string or a valid dictionary"),
        ({"query": "x", "documents": [5]}, "documents.0: Input should be a valid string or a valid dictionary"),
        ({"query": "x", "documents": ["x"], "top_n": "many"}, "top_n: write a number"),
        ({"query": "x", "documents": ["x"], "return_documents": "maybe"}, "return_documents: write true or false"),
        ({"query": "x", "texts": ["x"], "raw_scores": "maybe"}, "raw_scores: write true or false"),
    ],
)
def test_invalid_fields_are_named_plainly(make_client: MakeClient, body: Any, words: str) -> None:
    """No names of types or of the branches that were tried, and no values."""
    reply = make_client().post("/v1/rerank", json=body)
    assert (reply.status_code, reply.json()["detail"]) == (422, words)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer ", "X-API-Key": "secret"},
        {"Authorization": "Bearer None", "X-API-Key": "secret"},
        {"Authorization": "Bearer wrong", "api-key": "secret"},  # Azure's
        {"Authorization": "Bearer secret", "X-API-Key": "wrong"},
        {"authorization": "bearer secret"},
    ],
)
def test_any_right_key_opens(make_client: MakeClient, headers: dict[str, str]) -> None:
    """Clients send a useless `Authorization` beside the header that has the key."""
    assert make_client(api_key="secret").get("/v1/models", headers=headers).status_code == 200
    wrong = {name: value.replace("secret", "secre") for name, value in headers.items()}
    assert make_client(api_key="secret").get("/v1/models", headers=wrong).status_code == 401


@pytest.mark.parametrize("route", ["/v1/v1/rerank", "/v1/v2/rerank", "/v2/v2/rerank"])
def test_doubled_paths_name_the_base_url(make_client: MakeClient, route: str) -> None:
    """A client that adds /v1 itself was given a base with /v1."""
    reply = make_client().post(route, json={"query": "x", "documents": ["x"]})
    assert reply.status_code == 404
    assert reply.json()["error"]["remedy"] == "Give this client the base URL without /v1 or /v2."
    assert "/rerank or /v1/rerank" in make_client().post("/api/rerank", json={}).json()["message"]


@pytest.mark.parametrize("path", ["/health", "/healthz", "/ping"])
def test_health_needs_neither_key_nor_name(make_client: MakeClient, path: str) -> None:
    """Probes of containers send none; no other route is open."""
    client = make_client(api_key="secret")
    for method in ("GET", "HEAD"):
        assert client.request(method, path, headers={"Host": "10.0.0.7:7860"}).status_code == 200
    for method in ("POST", "DELETE", "QUERY"):  # the OpenAPI document says that the path needs no key
        assert client.request(method, path).status_code == 405
    assert client.get("/").status_code == client.get("/version").status_code == client.get("/info").status_code == 401
    assert make_client().get("/").json()["name"] == "ragsearch"
    assert set(make_client().get("/version").json()) == {"version"}


def test_containers_may_use_their_name(make_client: MakeClient) -> None:
    """With a key any Host name is right; without one those that the settings add."""
    host = {"Host": "host.docker.internal:7860"}
    assert make_client(api_key="secret").get("/v1/models", headers={**host, "X-API-Key": "secret"}).status_code == 200
    refused = make_client().get("/v1/models", headers=host)
    assert refused.status_code == 421
    assert "server.hosts" in refused.json()["error"]["remedy"]
    assert make_client(hosts=["Host.docker.internal"]).get("/v1/models", headers=host).status_code == 200
