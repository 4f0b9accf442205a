"""Reranking over HTTP: all shapes give scores in the order of the passages, and no bad answer becomes a ranking."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import numpy as np
import pytest

from rag_search.errors import EngineError, KnownAnswerError
from rag_search.rerank.base import PairRequest
from rag_search.rerank.qwen3 import TAIL, TEMPLATE, check_tail
from rag_search.rerank.remote import ApiReranker
from rag_search.rerank.remote_formats import Shape, shape_of
from rag_search.runtime.model_client import CONCURRENCY, Remote
from tests.support.model_server import ModelServer, shared

PASSAGES = ["nothing here", "redis timeout", "a redis", "timeout of redis again"]


def make(server: Any, *, shape: Shape = "vllm", model: str = "Qwen/Qwen3-Reranker-4B", root: str = "http://m/v1"):
    transport = httpx.MockTransport(server)
    remote = Remote(root, what="the rerank server", setting="reranker", transport=transport, pause=lambda _: None)
    return ApiReranker(remote, model, shape=shape, max_tokens_per_doc=100)


@pytest.mark.parametrize("shape", ["vllm", "cohere", "jina", "tei"])
def test_scores_stand_in_the_order_of_the_passages(shape: Shape) -> None:
    root = "http://m" if shape == "tei" else "http://m/v1"
    scores = make(ModelServer(), shape=shape, root=root).score("redis timeout", PASSAGES)
    np.testing.assert_allclose(scores, shared("redis timeout", PASSAGES))


def test_tei_gets_small_requests() -> None:
    server = ModelServer()
    passages = [f"redis {i}" for i in range(70)]
    scores = make(server, shape="tei", root="http://m").score("redis 69", passages)
    np.testing.assert_allclose(scores, shared("redis 69", passages))
    assert sorted(len(body["texts"]) for _, body in server.requests) == [6, 32, 32]  # sent at the same time


@pytest.mark.parametrize("root", ["http://m", "http://m/v1"])
def test_tei_is_asked_at_its_root(root: str) -> None:
    server = ModelServer()
    make(server, shape="tei", root=root).score("redis", PASSAGES)
    assert [path for path, _ in server.requests] == ["/rerank"]


@pytest.mark.parametrize("status", [404, 422])
def test_a_server_of_another_shape_is_told_by_the_remedy(status: int) -> None:
    with pytest.raises(EngineError, match=f"answered {status}") as caught:
        make(ModelServer(refusals=[httpx.Response(status, text="missing field `texts`")])).score("redis", PASSAGES)
    assert 'reranker.api ("tei"' in caught.value.remedy


ASKED = [
    PairRequest("redis", PASSAGES),
    PairRequest("timeout", PASSAGES[:3], "be brief"),
    PairRequest("kafka", []),
    PairRequest("redis again", PASSAGES[2:]),
]


@pytest.mark.parametrize("shape", ["vllm", "cohere", "jina", "tei"])
def test_several_queries_answer_as_each_alone(shape: Shape) -> None:
    root = "http://m" if shape == "tei" else "http://m/v1"
    scores = make(ModelServer(), shape=shape, root=root).score_many(ASKED)
    assert len(scores) == len(ASKED)
    for request, row in zip(ASKED, scores, strict=True):
        np.testing.assert_allclose(row, shared(request.query, request.passages))


def test_pairs_of_one_instruction_share_a_request() -> None:
    server = ModelServer()
    make(server).score_many(ASKED)
    assert [path for path, _ in server.requests] == ["/v1/score", "/v1/score"]
    plain, told = (body for _, body in server.requests)
    assert (len(plain["queries"]), "instruction" in plain) == (6, False)
    assert (told["documents"], told["instruction"]) == (PASSAGES[:3], "be brief")
    server.requests.clear()
    make(server).score_many([PairRequest("redis", PASSAGES * 100), PairRequest("kafka", PASSAGES)])
    assert sorted(len(body["queries"]) for _, body in server.requests) == [148, 256]


def test_a_server_without_score_is_asked_query_by_query() -> None:
    server = ModelServer(refusals=[httpx.Response(404, json={"detail": "Not Found"})])
    reranker = make(server)
    for _ in range(2):
        for request, row in zip(ASKED, reranker.score_many(ASKED), strict=True):
            np.testing.assert_allclose(row, shared(request.query, request.passages))
    asked = [path for path, _ in server.requests]
    assert (asked.count("/v1/score"), asked.count("/v1/rerank")) == (1, 6)
    assert [body["instruction"] for path, body in server.requests if "instruction" in body] == ["be brief"] * 2


def test_several_queries_share_the_allowed_number_of_requests() -> None:
    senders: set[str] = set()

    def answer(request: httpx.Request) -> httpx.Response:
        senders.add(threading.current_thread().name)
        return ModelServer()(request)

    reranker = make(answer, model="bge-reranker-v2-m3")
    reranker.score_many([PairRequest("redis", PASSAGES * 100)] * CONCURRENCY)
    assert len(senders) <= CONCURRENCY


def test_request_of_qwen3_on_vllm() -> None:
    server = ModelServer()
    make(server).score("q <|im_end|>", ["d <think>"], instruction="be <|im_start|> kind")
    path, body = server.requests[0]
    assert path == "/v1/rerank"
    assert body["query"] == "q <| im_end |>"
    assert body["documents"] == ["d < think>"]
    assert body["instruction"] == "be <| im_start |> kind"
    assert body["max_tokens_per_doc"] == 100


def test_hosted_services_are_known_by_their_address() -> None:
    assert shape_of("https://api.cohere.com/v2") == "cohere"
    assert shape_of("https://api.jina.ai/v1") == "jina"
    assert shape_of("http://127.0.0.1:8100/v1") == "vllm"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: b"oops", "not JSON"),
        (lambda a: {"results": None}, "without results"),
        (lambda a: {}, "without results"),
        (lambda a: {"results": a["results"][1:]}, "3 scores for 4 passages"),
        (lambda a: {"results": []}, "0 scores for 4 passages"),
        (lambda a: {"results": [*a["results"], {"index": 4, "relevance_score": 1.0}]}, "passage 4 of 4"),
        (lambda a: {"results": [a["results"][0], *a["results"][:3]]}, "two scores for passage"),
        (lambda a: {"results": [{**row, "relevance_score": None} for row in a["results"]]}, "the score None"),
        (lambda a: {"results": [{**row, "relevance_score": True} for row in a["results"]]}, "the score True"),
        (lambda a: b'{"results": [{"index": 0, "relevance_score": NaN}]}', "the score nan"),
    ],
)
def test_bad_answers_are_errors(spoil, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        make(ModelServer(spoil=spoil)).score("redis timeout", PASSAGES)


def answering(routes: dict[str, Any]) -> ApiReranker:
    """A reranker behind a server that has these routes alone."""

    def answer(request: httpx.Request) -> httpx.Response:
        known = request.url.path in routes
        return httpx.Response(200, json=routes[request.url.path]) if known else httpx.Response(404, json={})

    return make(answer)


@pytest.mark.parametrize("tokenized", [{"tokens": []}, {"ok": 1}, {"tokens": ["a"]}, [1], None])
def test_a_tokenizer_of_another_kind_tells_nothing(tokenized: Any) -> None:
    assert answering({"/tokenize": tokenized}).count_truncated(["x" * 3000]) == 0
    for usage in ({"prompt_tokens": 74}, {"total_tokens": 74}):
        answering({"/tokenize": tokenized, "/v1/rerank": {"usage": usage}}).check_structure()
    for reply in ({"usage": None}, {"usage": 3}, {"usage": {}}, {}, []):
        with pytest.raises(KnownAnswerError, match="does not report how it prompts"):
            answering({"/tokenize": tokenized, "/v1/rerank": reply}).check_structure()
    with pytest.raises(KnownAnswerError, match="serves the reranker as an embedding model"):
        answering({"/tokenize": tokenized, "/v1/embeddings": {}}).check_structure()


def test_a_right_tail_does_not_hide_a_missing_template() -> None:
    """The published folders have a template of their own: /tokenize uses it, /rerank concatenates the two texts."""
    routes = {"/tokenize": {"tokens": [1, *TAIL]}, "/v1/rerank": {"usage": {"prompt_tokens": 1}}}
    with pytest.raises(KnownAnswerError, match="read 1 token where the model's template makes 74") as caught:
        answering(routes).check_structure()
    assert caught.value.remedy == f"Serve it with: --chat-template {TEMPLATE}"
    routes["/v1/rerank"] = {"usage": {"prompt_tokens": 74}}
    answering(routes).check_structure()


@pytest.mark.parametrize("models", [None, [], {"data": None}, {"data": ["m"]}, {"data": [{"max_model_len": "8k"}]}])
def test_a_list_of_models_of_another_kind_tells_nothing(models: Any) -> None:
    answering({"/tokenize": {"tokens": [1, *TAIL]}, "/v1/models": models}).check_structure()
    short = {"data": [{"id": "other"}, {"id": "m", "max_model_len": 299}]}
    with pytest.raises(KnownAnswerError, match="takes 299 tokens"):
        answering({"/tokenize": {"tokens": [1, *TAIL]}, "/v1/models": short}).check_structure()


def test_passages_are_counted_in_the_tokens_of_the_server() -> None:
    assert answering({"/tokenize": {"count": 101, "tokens": [1] * 101}}).count_truncated(["x" * 3000, "short"]) == 1


def test_the_template_ends_as_jinja_cannot_trim() -> None:
    text = TEMPLATE.read_text("utf-8")
    assert text.rstrip("\n").endswith('</think>{{ "\\n\\n" }}')


def test_tails() -> None:
    check_tail([1, 2, *TAIL], "m")
    with pytest.raises(KnownAnswerError, match="last newline"):
        check_tail([1, *TAIL[:3], 198], "m")
    with pytest.raises(KnownAnswerError, match="template"):
        check_tail([1, 2, 3], "m")
