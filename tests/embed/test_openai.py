"""Embeddings over HTTP: right vectors in the right order, retries, and every bad answer is an error that says so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from rag_search.embed.batched import BatchedEmbedder
from rag_search.embed.openai import OpenAIBackend
from rag_search.embed.prompts import PROMPTS, Prompts, prompts_of
from rag_search.embed.token_counts import estimated_tokens, find_tokenizer
from rag_search.engines.open import check_fingerprint, manifest_of
from rag_search.errors import ConfigError, EngineError, FingerprintError, KnownAnswerError
from rag_search.index import open_reader, open_writer
from rag_search.runtime.model_client import ATTEMPTS, Remote
from rag_search.text.special_tokens import neutralise
from tests.support.fakes import DIM, word_vector
from tests.support.model_server import ModelServer

SECRET = "sk-very-secret"


def make(server: Any, *, prompts: Prompts = PROMPTS["none"], dim: int | None = None, pauses: list[float] | None = None):
    remote = Remote(
        "http://model/v1",
        what="the embedding server",
        setting="embedder",
        api_key=SECRET,
        transport=httpx.MockTransport(server),
        pause=(pauses if pauses is not None else []).append,
    )
    return BatchedEmbedder(OpenAIBackend(remote, "m", prompts=prompts), prompts, dim=dim, batch_tokens=512)


@pytest.mark.parametrize("floats", [True, False])
def test_many_batches_keep_the_order(floats: bool) -> None:
    server = ModelServer(floats=floats)
    texts = [f"text number {i} " + "word " * (i * 7 % 90) for i in range(200)]
    vectors = make(server).encode_documents(texts).vectors
    np.testing.assert_allclose(vectors, [word_vector(text) for text in texts], atol=1e-6)
    assert len(server.requests) > 200 // 32
    assert max(len(body["input"]) for _, body in server.requests) <= 32


def test_a_query_asks_the_model_for_nothing_but_its_vector(tmp_path: Path) -> None:
    with open_writer(tmp_path, manifest_of(make(ModelServer()))):
        pass
    server = ModelServer()
    embedder = make(server)
    with open_reader(tmp_path) as reader:
        check_fingerprint(reader, embedder)
        assert server.requests == []
        with pytest.raises(FingerprintError):
            check_fingerprint(reader, make(server, dim=8))
    assert server.requests == []
    assert embedder.dim == DIM


def test_prompts_of_qwen3() -> None:
    prompts = prompts_of("Qwen/Qwen3-Embedding-4B")
    server = ModelServer()
    make(server, prompts=prompts).encode_queries(["redis"], instruction="for beginners")
    assert server.requests[0][1]["input"] == ["Instruct: for beginners\nQuery:redis"]
    make(server, prompts=prompts).encode_documents(["a <|endoftext|> b </think>"])
    assert server.requests[1][1]["input"] == ["a <| endoftext |> b < /think>"]
    assert prompts_of("intfloat/multilingual-e5-large").query == "query: "
    assert prompts_of("text-embedding-3-large") == PROMPTS["none"]


def test_neutralised_text_is_stable() -> None:
    hostile = "<|im_start|>system <think></think> <tool_call> a <|b c|> < |x|>"
    assert neutralise(hostile) == "<| im_start |>system < think>< /think> < tool_call> a <|b c|> < |x|>"
    assert neutralise(neutralise(hostile)) == neutralise(hostile)


def test_matryoshka() -> None:
    short = make(ModelServer(), dim=16).encode_documents(["one two three four five"]).vectors
    whole = word_vector("one two three four five")[:16]
    np.testing.assert_allclose(short[0], whole / np.linalg.norm(whole), atol=1e-6)
    with pytest.raises(ConfigError, match=f"has {DIM} dimensions"):
        make(ModelServer(), dim=DIM + 1).encode_documents(["one"])


def test_a_busy_server_is_asked_again_and_retry_after_is_kept() -> None:
    pauses: list[float] = []
    refusals = [httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(503), httpx.Response(502)]
    vectors = make(ModelServer(refusals=refusals), pauses=pauses).encode_documents(["a"]).vectors
    np.testing.assert_allclose(vectors[0], word_vector("a"), atol=1e-6)
    assert pauses == [7.0, 1.0, 2.0]


def test_retries_end() -> None:
    server = ModelServer(refusals=[httpx.Response(503, text="loading")] * 10)
    with pytest.raises(EngineError, match=r"answered 503: loading"):
        make(server).encode_documents(["a"])
    assert len(server.requests) == ATTEMPTS


def test_a_long_wait_is_an_error() -> None:
    refusal = httpx.Response(429, headers={"Retry-After": "3600"})
    with pytest.raises(EngineError, match="asks to wait 3600 s"):
        make(ModelServer(refusals=[refusal])).encode_documents(["a"])


def test_no_connection() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"refused {SECRET}", request=request)

    pauses: list[float] = []
    with pytest.raises(EngineError, match="cannot be reached") as caught:
        make(refuse, pauses=pauses).encode_documents(["a"])
    assert "ragsearch up" in caught.value.remedy
    assert SECRET not in str(caught.value)
    assert len(pauses) == ATTEMPTS - 1


def test_half_an_emoji_is_sent_as_a_question_mark() -> None:
    server = ModelServer()
    make(server).encode_queries(["redis \ud83d"])
    assert server.requests[0][1]["input"] == ["redis ?"]


def remote(key: str, handle: Any) -> Remote:
    transport = httpx.MockTransport(handle)
    return Remote("http://model/v1", what="m", setting="embedder", api_key=key, transport=transport)


def test_any_key_is_sent_as_utf8_and_without_its_line_end() -> None:
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.headers["authorization"])

    assert [remote(key, echo).post("/x", {}) for key in ("sk-1\n", "ключ")] == ["Bearer sk-1", "Bearer ключ"]


def test_a_key_that_cannot_be_sent_is_not_printed() -> None:
    with pytest.raises(EngineError, match=r"embedder\.api_key cannot be sent") as caught:
        remote(f"{SECRET}\r{SECRET}", lambda _: httpx.Response(200))
    assert SECRET not in str(caught.value)

    def illegal(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"Illegal header value b'Bearer {SECRET[:-1]}'", request=request)

    with pytest.raises(EngineError, match="cannot be reached: LocalProtocolError") as caught:
        make(illegal).encode_documents(["a"])
    assert SECRET[:-1] not in str(caught.value)


@pytest.mark.parametrize(("status", "remedy"), [(401, "api_key"), (404, "embedder.model"), (400, "--max-model-len")])
def test_refusals_name_the_remedy(status: int, remedy: str) -> None:
    answer = httpx.Response(status, json={"error": {"message": f"no: {SECRET}", "code": status}})
    with pytest.raises(EngineError, match=rf"answered {status}: no: \*\*\*") as caught:
        make(ModelServer(refusals=[answer])).encode_documents(["a"])
    assert remedy in caught.value.remedy
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda a: b"<html>hello</html>", "not JSON"),
        (lambda a: ["x"], "without data"),
        (lambda a: {"data": a["data"][:1]}, "1 vectors for 2 texts"),
        (lambda a: {"data": [a["data"][0]] * 2}, "two vectors for text 0"),
        (lambda a: {"data": [*a["data"], {"index": 2, "embedding": [1.0]}]}, "text 2 of 2"),
        (lambda a: {"data": [{"index": i, "embedding": "%%%"} for i in range(2)]}, "not a list of numbers"),
        (lambda a: {"data": [{"index": i, "embedding": None} for i in range(2)]}, "not a list of numbers"),
        (lambda a: {"data": [{"index": i, "embedding": [1.0] * (i + 1)} for i in range(2)]}, "different lengths"),
        (lambda a: {"data": [{"index": i, "embedding": [2.0, 0.0]} for i in range(2)]}, "not of length 1"),
        (lambda a: b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1]}]}', "not finite"),
    ],
)
def test_bad_answers_are_errors(spoil, said: str) -> None:
    with pytest.raises(EngineError, match=said):
        make(ModelServer(spoil=spoil)).encode_documents(["a", "b"])


def structure(tokenized: Any, reply: Any) -> None:
    """The check of tokens and pooling, where /tokenize and /embeddings answer so."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/tokenize":
            return httpx.Response(200, json=tokenized)
        if json.loads(request.content)["input"] == ["hello world"]:
            return httpx.Response(200, json=reply)
        return ModelServer()(request)

    make(answer, prompts=PROMPTS["qwen3"]).backend.check_structure()


@pytest.mark.parametrize("tokenized", [{"tokens": []}, {"tokens": None}, {"ok": 1}, {"tokens": ["a"]}, [1], None])
def test_a_tokenizer_of_another_kind_tells_nothing(tokenized: Any) -> None:
    for reply in ({"usage": None}, {"usage": {"prompt_tokens": 3}}, {"usage": {"total_tokens": 3}}, {}, []):
        structure(tokenized, reply)
    with pytest.raises(KnownAnswerError, match="does not append"):
        structure(tokenized, {"usage": {"prompt_tokens": 2}})


def test_the_tokenizer_of_the_main_snapshot_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    folder = tmp_path / "models--org--model"
    files = [folder / "snapshots" / name / "tokenizer.json" for name in ("f0", "a1", "b2")]
    for age, file in enumerate(files):
        file.parent.mkdir(parents=True)
        file.write_text("{}", "utf-8")
        os.utime(file, (age, age))
    os.utime(files[1], (9, 9))
    assert find_tokenizer("org/model") == files[1]  # the newest
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("b2\n", "utf-8")
    assert find_tokenizer("org/model") == files[2]
    assert find_tokenizer("org/other") is None


def test_estimate_counts_chinese_by_the_character() -> None:
    assert estimated_tokens(["", "连接超时", "abcdef", "连 abc"]).tolist() == [0, 4, 2, 3]
