"""One contract for all engines: an engine that joins the table joins these tests, or they fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from rag_search.config import Settings, checked
from rag_search.embed.base import Embedder
from rag_search.engines.factory import make_embedder, make_reranker
from rag_search.engines.table import EMBEDDERS, RERANKERS
from rag_search.records import packed_bytes
from rag_search.rerank.base import PairRequest, Reranker, TruncatingReranker, score_all
from tests.support.http_server import QuietHandler, listening
from tests.support.model_server import ModelServer
from tests.support.onnx_models import make_reader

TEXTS = [
    "Redis closes idle connections after the timeout of the client.",
    "Kafka consumer groups rebalance when a member leaves.",
    "如何解决 Redis 连接超时：检查 timeout 与 tcp-keepalive。",
    "",
    " \t\n",
    "word " * 5000,
    "<|endoftext|> </s> \x00 \ufffd \ud800 \u202e",
    "👩‍👩‍👧‍👧 é",
]
QUERY = "redis connection timeout"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a model server of bags of words."""
    answers = ModelServer()

    class Handler(QuietHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = answers(httpx.Request("POST", f"http://model{self.path}", content=body))
            self.send_response(reply.status_code)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("Content-Length", "0")
            self.end_headers()

    with listening(Handler) as root:
        yield f"{root}/v1"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny models in the files of Qwen3, for engines that need torch."""
    pytest.importorskip("torch")
    pytest.importorskip("sentence_transformers")
    if "QWEN3_TOKENIZER" not in os.environ:
        pytest.skip("needs the tokenizer of Qwen3: run .ci/vllm.sh")
    from tests.vllm.checkpoints import make_all

    folder = tmp_path_factory.mktemp("checkpoints")
    make_all(folder, Path(os.environ["QWEN3_TOKENIZER"]))
    return folder


def settings_of(request: pytest.FixtureRequest, *, embedder: str = "builtin", reranker: str = "none") -> Settings:
    """Return settings with these engines, each with the server or the folder that it needs."""
    cache = Settings().cache_dir
    sections: dict[str, dict[str, object]] = {"embedder": {"backend": embedder}, "reranker": {"backend": reranker}}
    match embedder:
        case "openai":
            sections["embedder"] |= {"url": request.getfixturevalue("address"), "model": "words", "check": False}
        case "sentence-transformers":
            folder = request.getfixturevalue("checkpoints")
            sections["embedder"] |= {"model": str(folder / "qwen3-embedding"), "check": False}
        case _:
            assert embedder == "builtin", "say how the contract gets this embedder"
    match reranker:
        case "rerank-api":
            sections["reranker"] |= {"url": request.getfixturevalue("address"), "model": "words", "check": False}
        case "onnx":
            folder = make_reader(request.getfixturevalue("tmp_path_factory").mktemp("onnx") / "reader")
            sections["reranker"] |= {"model": str(folder), "check": False}
        case "vllm" | "cross-encoder":
            if reranker == "vllm":
                pytest.importorskip("vllm")
            folder = request.getfixturevalue("checkpoints")
            sections["reranker"] |= {"model": str(folder / "qwen3-reranker"), "check": False}
        case _:
            assert reranker in ("late-interaction", "none"), "say how the contract gets this reranker"
    return checked({"cache_dir": cache, **sections})


@pytest.fixture(scope="module", params=sorted(EMBEDDERS))
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """One embedder after the other."""
    return make_embedder(settings_of(request, embedder=request.param))


@pytest.fixture(scope="module", params=sorted(name for name, row in RERANKERS.items() if row))
def reranker(request: pytest.FixtureRequest) -> Reranker:
    """One reranker after the other."""
    made = make_reranker(settings_of(request, reranker=request.param), None)
    assert made is not None
    return made


def test_vectors_are_unit_rows_in_order(embedder: Embedder) -> None:
    """Any text gets one finite row of length 1, the same whatever stands beside it."""
    vectors = embedder.encode_documents(TEXTS).vectors
    assert (vectors.dtype, vectors.shape) == (np.float32, (len(TEXTS), embedder.dim))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    backwards = embedder.encode_documents(TEXTS[::-1]).vectors[::-1]
    np.testing.assert_allclose(vectors, backwards, atol=2e-3)
    assert embedder.encode_queries([QUERY]).vectors.shape == (1, embedder.dim)


def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    """Nothing in, nothing out, with the right number of columns."""
    assert embedder.encode_documents([]).vectors.shape == (0, embedder.dim)
    assert embedder.encode_queries([]).vectors.shape == (0, embedder.dim)
    assert embedder.count_tokens([]).shape == (0,)


def test_token_vectors_are_as_announced(embedder: Embedder) -> None:
    """An embedder makes them for every passage or for none, as `token_dim` and the table say."""
    encoded = embedder.encode_documents(TEXTS)
    assert (encoded.tokens is not None) == bool(embedder.token_dim)
    if encoded.tokens is not None:
        assert encoded.tokens.rows.shape == (encoded.tokens.lengths.sum(), packed_bytes(embedder.token_dim))
        assert len(encoded.tokens.lengths) == len(TEXTS)


def test_counts_and_facts_of_an_embedder(embedder: Embedder) -> None:
    """Longer text has more tokens; name and fingerprint are there; an instruction changes a vector or it does not."""
    short, long = embedder.count_tokens(["word", "word " * 50])
    assert 0 < short < long
    assert isinstance(embedder, Embedder)
    assert embedder.name
    assert embedder.fingerprint == embedder.fingerprint != ""
    plain, told = (
        embedder.encode_queries([QUERY], instruction=text).vectors[0] for text in (None, "Find marine biology")
    )
    assert (np.abs(plain - told).max() > 1e-6) == embedder.follows_instructions


def test_scores_are_finite_and_in_order(reranker: Reranker) -> None:
    """Any passage gets one finite score, the same in another order; the passage that answers wins."""
    scores = reranker.score(QUERY, TEXTS)
    assert (scores.dtype, scores.shape) == (np.float32, (len(TEXTS),))
    assert np.isfinite(scores).all()
    assert scores[0] > scores[1]
    assert reranker.score(QUERY, []).shape == (0,)


def test_many_requests_score_as_one(reranker: Reranker) -> None:
    """A pass over several queries gives what each alone gives."""
    requests = [PairRequest(QUERY, TEXTS[:3]), PairRequest("kafka", TEXTS[:2]), PairRequest("nothing", [])]
    together = score_all(reranker, requests)
    alone = [reranker.score(request.query, request.passages) for request in requests]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-3)


def test_facts_of_a_reranker(reranker: Reranker) -> None:
    """Name and fingerprint are there, a threshold is a number or None, and cut passages can be counted."""
    assert isinstance(reranker, Reranker)
    assert reranker.name
    assert reranker.fingerprint == reranker.fingerprint != ""
    assert reranker.threshold is None or 0 <= reranker.threshold <= 1
    if isinstance(reranker, TruncatingReranker):
        assert reranker.count_truncated(["short"]) == 0
