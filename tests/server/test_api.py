"""Every route: right answers, right errors."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from rag_search.config import load_config
from rag_search.errors import ConfigError
from rag_search.server.app import make_app, make_rules
from rag_search.server.live_searcher import LiveSearcher
from tests.server.conftest import MakeClient, write_index
from tests.support.fakes import DIM, OverlapReranker, WordEmbedder, word_vector

JSON = {"content-type": "application/json"}
TEXTS = ["the weather is fine", "redis timeout again", "redis only"]


def test_search_finds_the_passage(make_client: MakeClient) -> None:
    reply = make_client().post("/v1/search", json={"query": "redis connection timeout", "top_k": 1})
    (hit,) = reply.json()["hits"]
    assert reply.status_code == 200
    assert (Path(hit["path"]).name, hit["rank"], hit["score"]) == ("redis.md", 1, 1.0)


def test_a_batch_is_answered_as_one_by_one(make_client: MakeClient) -> None:
    client = make_client()
    queries = ["redis timeout", "[hint] nightly dump", "redis pool"] * 30
    options = {"top_k": 1, "candidates": 7, "paths": ["docs"]}
    results = client.post("/v1/search/batch", json={"queries": queries, **options}).json()["results"]
    alone = [client.post("/v1/search", json={"query": query, **options}).json() for query in queries[:3]] * 30
    for result in results + alone:
        result.pop("timings_ms", None)
    assert results == alone
    assert client.post("/v1/search/batch", json={"queries": ["x", " "]}).status_code == 400
    for wrong in ({"queries": []}, {"queries": ["x"] * 257}, {"queries": ["x"], "query": "x"}, {"query": "x"}):
        assert client.post("/v1/search/batch", json=wrong).status_code == 422


def test_search_is_as_the_settings_say_unless_the_request_does(make_client: MakeClient) -> None:
    for search, found in (({"top_k": 1}, 1), ({"candidates": 1, "top_k": 1}, 1), ({"min_score": 2.0}, 0), ({}, 2)):
        client = make_client(search=search)
        asked = {"query": "redis pg_dump"}
        assert len(client.post("/v1/search", json=asked).json()["hits"]) == found
        (batch,) = client.post("/v1/search/batch", json={"queries": [asked["query"]]}).json()["results"]
        assert len(batch["hits"]) == found
        told = {**asked, "top_k": 2, "candidates": 2, "min_score": 0.0}
        assert len(client.post("/v1/search", json=told).json()["hits"]) == 2


def test_cohere_shapes_order_by_score(make_client: MakeClient) -> None:
    client = make_client()
    body = {"query": "redis timeout", "documents": [TEXTS[0], {"text": TEXTS[1]}, TEXTS[2]], "top_n": 2}
    expected = [(1, 1.0), (2, 0.5)]
    for route in ("/v1/rerank", "/v2/rerank", "/rerank"):
        rows = client.post(route, json=body).json()["results"]
        assert [(row["index"], row["relevance_score"]) for row in rows] == expected
    assert client.post("/v1/rerank", json=body).json()["results"][0]["document"] == {"text": TEXTS[1]}
    assert "document" not in client.post("/v2/rerank", json=body).json()["results"][0]


def test_no_limit_is_zero_as_vllm_has_it(make_client: MakeClient) -> None:
    body = {"query": "redis timeout", "documents": TEXTS, "top_n": 0, "max_tokens_per_doc": 0}
    assert len(make_client().post("/v1/rerank", json=body).json()["results"]) == 3


def test_passages_and_batch_shapes(make_client: MakeClient) -> None:
    """Passages carry their text, and a batch gives one list per query."""
    client = make_client()
    rows = client.post("/v1/rerank", json={"query": "redis timeout", "passages": TEXTS}).json()["results"]
    assert [row["text"] for row in rows] == [TEXTS[1], TEXTS[2], TEXTS[0]]
    body = {"model": "x", "queries": ["weather", "redis"], "passages_batch": [TEXTS[:2], TEXTS[1:]]}
    lists = client.post("/v1/rerank", json=body).json()["results"]
    assert [[row["index"] for row in rows] for rows in lists] == [[0, 1], [0, 1]]
    assert lists[1][0]["text"] == TEXTS[1]


def test_the_bracketed_instruction_and_the_field_are_the_same(make_client: MakeClient) -> None:
    client = make_client()
    inline = client.post("/v1/rerank", json={"query": "[weather] redis", "documents": TEXTS}).json()["results"]
    field = {"query": "redis", "instruction": "weather", "documents": TEXTS}
    assert inline == client.post("/v1/rerank", json=field).json()["results"]
    assert inline != client.post("/v1/rerank", json={"query": "redis", "documents": TEXTS}).json()["results"]


def test_tei_and_weaviate_shapes(make_client: MakeClient) -> None:
    client = make_client()
    tei = client.post("/rerank", json={"query": "redis timeout", "texts": TEXTS, "return_text": True}).json()
    assert tei[0] == {"index": 1, "score": 1.0, "text": TEXTS[1]}
    body = {"query": "redis timeout", "documents": TEXTS, "property": ""}
    scores = client.post("/rerank", json=body).json()["scores"]
    assert scores == [{"document": t, "score": s} for t, s in zip(TEXTS, (0.0, 1.0, 0.5), strict=True)]
    assert client.get("/.well-known/live").status_code == client.get("/.well-known/ready").status_code == 204
    assert client.get("/meta").json()["model"] == "overlap"
    blank = client.post("/rerank", json={"query": "", "documents": ["x"], "property": ""})
    assert (blank.status_code, blank.json()["error"]) == (400, "the query is empty. Write a question.")


def test_errors_of_tei_are_strings_with_its_types(make_client: MakeClient) -> None:
    client = make_client(max_passages=2)
    fewer = "Send fewer at a time, or raise server.max_passages."
    for body, status, said in (
        ({"query": "x", "texts": []}, 400, "`texts` cannot be empty."),
        ({"query": "x", "texts": ["x"] * 3}, 413, f"3 passages; the limit is 2. {fewer}"),
        ({"query": "x", "texts": 5}, 422, "texts: Input should be a valid list"),
        ({"texts": ["x"]}, 422, "query: Field required"),
    ):
        reply = client.post("/rerank", json=body)
        assert (reply.status_code, reply.json()) == (
            status,
            {"error": said, "error_type": "Validation", "message": said, "detail": said},
        )


def test_one_reply_of_rerank_serves_weaviate_and_the_others(make_client: MakeClient) -> None:
    client, body = make_client(), {"query": "redis timeout", "documents": TEXTS, "top_n": 1}
    reply = client.post("/rerank", json=body).json()
    assert [row["index"] for row in reply["results"]] == [1]
    assert [row["document"] for row in reply["scores"]] == TEXTS
    bare = client.post("/rerank", json={**body, "return_documents": False}).json()
    assert "scores" not in bare
    assert "document" not in bare["results"][0]


@pytest.mark.parametrize("route", ["/v1/search", "/rerank", "/v1/embeddings"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"query": "secret",}', "Expecting property name enclosed in double quotes at character 19."),
        (b'{"query": "secret"', "Expecting ',' delimiter at character 18."),
        (b'"secret\n"', "Invalid control character at character 7."),
        (b"secret", "Expecting value at character 0."),
    ],
)
def test_a_body_that_is_not_json_is_told_where(make_client: MakeClient, route: str, body: bytes, said: str) -> None:
    """It says where the error is, and nothing of the body."""
    reply = make_client().post(route, content=body, headers=JSON)
    assert (reply.status_code, reply.json()["error"]["message"]) == (422, f"the body is not JSON: {said}")
    assert "secret" not in reply.text


def test_half_an_emoji_is_a_question_mark_and_no_error(make_client: MakeClient) -> None:
    client = make_client()
    for route, body in (
        ("/v1/rerank", {"query": "redis \ud83d", "documents": ["redis \ud83d"], "instruction": "\ud83d"}),
        ("/v1/score", {"text_1": "redis \ud83d", "text_2": "redis \ud83d"}),
        ("/v1/embeddings", {"input": "redis \ud83d"}),
        ("/v1/search", {"query": "redis \ud83d", "paths": ["\ud83d"], "where": {"\ud83d": "\ud83d"}}),
    ):
        reply = client.post(route, content=json.dumps(body), headers={"content-type": "application/json"})
        assert (route, reply.status_code) == (route, 200)
    rows = client.post("/v1/rerank", content=b'{"query":"x","documents":["a\\ud83d"]}', headers=JSON).json()["results"]
    assert rows[0]["document"] == {"text": "a?"}
    other_fields = b'{"query":"x","documents":[{"text":"a","title":"b\\ud83d","\\ud83d":"c"}]}'
    rows = client.post("/v1/rerank", content=other_fields, headers=JSON).json()["results"]
    assert rows[0]["document"] == {"text": "a", "title": "b?", "?": "c"}


def test_a_batch_is_answered_by_a_short_queue(make_client: MakeClient) -> None:
    """A batch longer than the queue waits for its own questions, and an idle server answers all of them."""
    client = make_client(max_queue=2, workers=1, max_batch=1)
    replies = client.post("/v1/search/batch", json={"queries": [f"redis {n}" for n in range(9)]}).json()["results"]
    assert [reply["query"] for reply in replies] == [f"redis {n}" for n in range(9)]


def test_a_server_outlives_its_working_folder(
    make_client: MakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone removes the folder that the server was started in."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    client = make_client()
    gone.rmdir()
    reply = client.post("/v1/search", json={"query": "redis"})
    assert (reply.status_code, reply.json()["hits"][0]["title"]) == (200, "Redis")


def test_score(make_client: MakeClient) -> None:
    client = make_client()
    for body, scores in (
        ({"text_1": "redis timeout", "text_2": TEXTS}, [0.0, 1.0, 0.5]),
        ({"text_1": ["redis timeout"], "text_2": TEXTS[1]}, [1.0]),
        ({"text_1": ["weather", "redis timeout", "timeout"], "text_2": TEXTS}, [1.0, 1.0, 0.0]),
        ({"text_1": "redis", "text_2": []}, []),
        ({"queries": ["weather", "redis timeout", "timeout"], "documents": TEXTS}, [1.0, 1.0, 0.0]),
    ):
        for route in ("/v1/score", "/score"):
            assert [row["score"] for row in client.post(route, json=body).json()["data"]] == scores
    assert client.post("/v1/score", json={"text_1": ["a", "b"], "text_2": TEXTS}).status_code == 400


def test_embeddings_as_numbers_and_as_base64(make_client: MakeClient) -> None:
    client = make_client()
    reply = client.post("/v1/embeddings", json={"input": ["a b", "c"], "input_type": "query"}).json()
    rows = reply["data"]
    assert reply["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert np.allclose([row["embedding"] for row in rows], [word_vector("a b"), word_vector("c")])
    (row,) = client.post("/v1/embeddings", json={"input": "a b", "encoding_format": "base64"}).json()["data"]
    assert np.allclose(np.frombuffer(base64.b64decode(row["embedding"]), "<f4"), word_vector("a b"))
    assert client.post("/v1/embeddings", json={"input": "a", "dimensions": DIM}).status_code == 200
    refused = client.post("/v1/embeddings", json={"input": "a", "dimensions": 8})
    assert (refused.status_code, f"{DIM} dimensions, not 8" in refused.json()["error"]["message"]) == (400, True)


def test_health_models_status_metrics(make_client: MakeClient) -> None:
    client = make_client()
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").status_code == 200
    assert [row["id"] for row in client.get("/v1/models").json()["data"]] == ["words", "overlap"]
    assert client.get("/v1/status").json()["documents"] == 2
    metrics = client.get("/metrics").text
    assert 'ragsearch_requests_total{route="/health",status="200"} 1.0' in metrics
    assert ("process_resident_memory_bytes" in metrics) == (sys.platform == "linux")


def test_without_an_index_search_is_503_and_rerank_works(make_client: MakeClient) -> None:
    client = make_client(indexed=False)
    reply = client.post("/v1/search", json={"query": "x"})
    assert (reply.status_code, "ragsearch ingest" in reply.json()["error"]["remedy"]) == (503, True)
    assert "retry-after" in reply.headers
    assert client.get("/ready").status_code == 503
    assert client.post("/v1/rerank", json={"query": "x", "documents": ["x"]}).status_code == 200


@pytest.mark.parametrize(
    ("route", "body", "status"),
    [
        ("/v1/rerank", {"query": "x"}, 422),
        ("/v1/rerank", {"query": "x", "documents": ["x"], "passages": ["x"]}, 422),
        ("/v1/rerank", {"queries": ["x"], "passages_batch": []}, 400),
        ("/v1/rerank", {"queries": ["x"] * 257, "passages_batch": [[]] * 257}, 422),
        ("/v1/rerank", {"queries": ["x"], "passages_batch": [[]] * 257}, 422),
        ("/v1/rerank", {"query": " ", "documents": ["x"]}, 400),
        ("/v1/rerank", {"query": "x", "documents": ["x"] * 6}, 413),
        ("/v1/rerank", {"query": "x", "documents": ["x" * 101]}, 413),
        ("/v1/rerank", {"query": "x", "documents": ["x"], "top_n": "five"}, 422),
        ("/v1/rerank", {"query": "x", "documents": ["x"], "top_n": 1.5}, 422),
        ("/v1/rerank", {"query": "x", "documents": ["x"], "top_n": True}, 422),
        ("/v1/search", {"query": "x", "topk": 3}, 422),
        ("/v1/search", {"query": "x", "top_k": True}, 422),
        ("/v1/search", {"query": "x", "since": 0}, 422),
        ("/v1/search", {"query": "x", "since": "yesterday"}, 422),
        ("/v1/search", [], 422),
        ("/v1/ragsearch/query", {"queries": ["x"], "options": {}}, 422),
        ("/nowhere", {}, 404),
    ],
)
def test_wrong_requests_get_the_right_status_in_one_shape(
    make_client: MakeClient, route: str, body: object, status: int
) -> None:
    reply = make_client(max_passages=5, max_passage_chars=100).post(route, json=body)
    assert reply.status_code == status
    assert {"message", "type", "code"} <= set(reply.json()["error"])


def test_the_guard_stands_before_every_route(make_client: MakeClient) -> None:
    client = make_client(api_key="secret", max_body_mb=0.01)
    for route in ("/ready", "/metrics", "/v1/models", "/openapi.json", "/nowhere"):
        assert client.get(route).status_code == 401
    for headers in ({"Authorization": "Bearer secret"}, {"X-API-Key": "secret"}):
        assert client.get("/ready", headers=headers).status_code == 200
    client.headers["X-API-Key"] = "secret"
    assert client.get("/ready", headers={"Host": "host.docker.internal"}).status_code == 200  # the key protects
    assert make_client().get("/ready", headers={"Host": "evil.example"}).status_code == 421
    assert client.post("/v1/search", content="{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post("/v1/search", content=b"{" * 20_000, headers=JSON).status_code == 413
    assert client.post("/v1/search", content=iter([b"{" * 20_000]), headers=JSON).status_code == 413
    assert client.post("/v1/search", content=b"{nonsense", headers=JSON).status_code == 422
    assert client.get("/health", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"


def test_a_body_without_a_type_is_json_unless_a_browser_sends_it(make_client: MakeClient) -> None:
    client, body = make_client(), json.dumps({"query": "redis timeout", "documents": TEXTS, "property": ""})
    assert "content-type" not in client.build_request("POST", "/rerank", content=body.encode()).headers
    scores = client.post("/rerank", content=body.encode()).json()["scores"]
    assert [row["score"] for row in scores] == [0.0, 1.0, 0.5]
    assert client.post("/rerank", content=body.encode(), headers={"Origin": "http://evil.example"}).status_code == 415
    assert client.post("/health").status_code == 405


def test_an_open_address_needs_a_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="api-key"):
        make_rules(load_config({"server.host": "0.0.0.0"}, cwd=tmp_path).settings.server)


def test_the_log_holds_no_text(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ragsearch.access")
    make_client().post("/v1/rerank", json={"query": "classified", "documents": ["classified"]})
    (record,) = caplog.records
    assert "classified" not in record.getMessage()
    facts = json.loads(record.getMessage())
    assert (facts["route"], facts["status"]) == ("/v1/rerank", 200)


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_a_path_that_is_not_utf8_is_escaped(tmp_path: Path, folder: Path) -> None:
    """Its bytes cannot be encoded, neither in a reply nor in an error."""
    place = str(tmp_path / os.fsdecode(b"n\xff") / "idx")
    config = load_config({"cache_dir": str(tmp_path / "cache"), "index": place}, cwd=tmp_path)
    app = make_app(LiveSearcher(config, WordEmbedder(), OverlapReranker()))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        missing = client.post("/v1/search", json={"query": "redis"})
        assert (missing.status_code, missing.json()["error"]["message"]) == (503, f"there is no index at {place}.")
        write_index(config, folder, WordEmbedder())
        assert client.get("/v1/status").json()["index"] == place


def test_an_index_that_was_removed_still_answers(make_client: MakeClient, tmp_path: Path) -> None:
    """The server has its files open. A new index at the same place is seen."""
    client = make_client()
    assert client.get("/ready").status_code == 200
    (tmp_path / "indexes").rename(tmp_path / "moved")
    assert client.post("/v1/search", json={"query": "redis"}).json()["hits"][0]["title"] == "Redis"
    assert client.get("/ready").json() == {"status": "ready"}
    status = client.get("/v1/status")
    assert (status.status_code, status.json()["documents"]) == (200, 2)
    (tmp_path / "docs" / "kafka.md").write_text("# Kafka\n\nzebra partitions\n", "utf-8")
    write_index(load_config({}, cwd=tmp_path), tmp_path / "docs", WordEmbedder())
    assert client.get("/v1/status").json()["documents"] == 3


def test_a_new_ingest_is_seen_and_another_embedder_is_said(make_client: MakeClient, folder: Path) -> None:
    client = make_client()
    (folder / "kafka.md").write_text("# Kafka\n\nzebra partitions\n", "utf-8")
    config = load_config({}, cwd=folder.parent)
    write_index(config, folder, WordEmbedder())
    found = client.post("/v1/search", json={"query": "zebra", "top_k": 1}).json()
    assert Path(found["hits"][0]["path"]).name == "kafka.md"
    write_index(config, folder, WordEmbedder(version="2"), rebuild=True)
    found = client.post("/v1/search", json={"query": "zebra", "top_k": 1}).json()
    assert Path(found["hits"][0]["path"]).name == "kafka.md"
    assert any("Restart the server" in note for note in found["notes"])
