"""Whatever a server answers: what the protocol says, or one clear error, in time and in bounded memory."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_search.embed.openai import read_vectors
from rag_search.errors import EngineError, ServerError
from rag_search.integrations.client import search
from rag_search.rerank.remote_formats import read_scores
from rag_search.runtime import bounded
from rag_search.runtime.foreign_json import is_finite, parse_json
from rag_search.runtime.model_client import Remote, prompt_tokens_of, seconds_of, tokens_of

NUMBERS = st.one_of(
    st.integers(), st.floats(), st.booleans(), st.sampled_from([10**400, -(10**400), 1e300, 2**128, 0, 1, -1])
)
ANYTHING = st.recursive(
    st.one_of(st.none(), NUMBERS, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)
ROWS = st.lists(
    st.one_of(
        ANYTHING,
        st.fixed_dictionaries(
            {},
            optional={
                "index": st.one_of(NUMBERS, st.integers(0, 2)),
                "score": st.one_of(NUMBERS, ANYTHING),
                "relevance_score": st.one_of(NUMBERS, ANYTHING),
                "embedding": st.one_of(st.lists(NUMBERS, max_size=3), st.text(), ANYTHING),
            },
        ),
    ),
    max_size=4,
)
ANSWERS = st.one_of(
    ANYTHING,
    ROWS,
    st.fixed_dictionaries({}, optional={"results": ROWS, "data": ROWS, "tokens": st.lists(NUMBERS), "usage": ANYTHING}),
)


@given(ANSWERS, st.integers(0, 3))
def test_scores_of_any_answer(answer: Any, count: int) -> None:
    """They are finite, one for each passage, or there is an EngineError."""
    try:
        scores = read_scores(answer, count, "the server")
    except EngineError:
        return
    assert scores.shape == (count,)
    assert np.isfinite(scores).all()


@given(ANSWERS, st.integers(0, 3))
def test_vectors_of_any_answer(answer: Any, count: int) -> None:
    """There is one for each text, all of one length, or there is an EngineError."""
    try:
        vectors = read_vectors(answer, count, "the server")
    except EngineError:
        return
    assert vectors.dtype == np.float32
    assert len(vectors) == count


@given(ANSWERS)
def test_counts_of_any_answer(answer: Any) -> None:
    """Ids and counts are whole numbers, or None."""
    tokens, count = tokens_of(answer), prompt_tokens_of(answer)
    assert tokens is None or (tokens and all(type(token) is int for token in tokens))
    assert count is None or (type(count) is int and count > 0)


@pytest.mark.parametrize(
    "row", [{"index": True, "score": 1.0}, {"index": 0, "score": True}, {"index": 0, "score": 1e39}]
)
def test_no_booleans_and_nothing_beyond_float32(row: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="answered"):
        read_scores([row, {"index": 1 - int(row["index"]), "score": 0.5}], 2, "the server")


def test_numbers_of_json() -> None:
    assert [is_finite(value) for value in (1, 1.5, -3, 10**30)] == [True] * 4
    values = (True, "1", None, float("nan"), float("inf"), 10**400, 1e39)
    assert not any(map(is_finite, values))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "[" * 100_000 + "]" * 100_000, b"\xff", "nul", ""])
def test_text_that_is_not_json(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), (" 0.5 ", 0.5), ("0", 0.0), ("", None), ("-1", None), ("1e5", None), ("²", None), ("１２", None),
     ("nan", None), ("inf", None), ("1.2.3", None), ("soon", None), ("9" * 400, None), ("Wed, 99 Foo 2026", None)],
)  # fmt: skip
def test_retry_after(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


def test_retry_after_a_date() -> None:
    """A date in the past means at once."""
    now = datetime.now(UTC)
    assert 50 < (seconds_of(format_datetime(now + timedelta(minutes=1), usegmt=True)) or 0) <= 60
    assert seconds_of(format_datetime(now - timedelta(days=1), usegmt=True)) == 0.0


@given(st.text())
def test_retry_after_of_any_form(text: str) -> None:
    seconds = seconds_of(text)
    assert seconds is None or 0 <= seconds < 1e12


def remote(url: str, *, timeout_s: float = 1.0, transport: httpx.BaseTransport | None = None) -> Remote:
    return Remote(
        url, what="the server", setting="reranker", timeout_s=timeout_s, transport=transport, pause=lambda _: None
    )


@contextmanager
def dripping(head: bytes, part: bytes) -> Iterator[str]:
    """The address of a server that sends `head` at once and then `part` again and again, for 20 s."""
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection:
            try:
                connection.sendall(head)
                while not stop.wait(0.05):
                    connection.sendall(part)
            except OSError:
                pass

    def accept() -> None:
        while not stop.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            stop.set()


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"["),
    ],
    ids=["status", "header", "body", "chunks", "length"],
)
def test_a_dripping_answer_ends_in_time(head: bytes, part: bytes) -> None:
    """The limit is for the whole answer, and does not start again with every byte."""
    with dripping(head, part) as url:
        start = time.monotonic()
        with pytest.raises(EngineError, match=r"did not answer in time|cannot be reached"):
            remote(url, timeout_s=0.5).post("/rerank", {})
        assert time.monotonic() - start < 15  # four attempts where the server speaks no HTTP
        start = time.monotonic()
        with pytest.raises(ServerError, match=r"did not answer within|no server answers"):
            search(url, "x", timeout_s=0.5)
        assert time.monotonic() - start < 10


def answering(content: Callable[[], Any], **headers: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(200, content=content(), headers=headers))


def test_an_endless_answer_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the limit."""
    monkeypatch.setattr(bounded, "MAX_ANSWER_BYTES", 10_000)
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1000)
            yield b" " * 1000

    with pytest.raises(EngineError, match="answered more than") as caught:
        remote("http://server/v1", transport=answering(endless)).post("/rerank", {})
    assert sum(sent) < 20_000
    assert caught.value.remedy


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "nothing", ""])
def test_an_answer_that_is_not_json(text: str) -> None:
    with pytest.raises(EngineError, match="is not JSON"):
        remote("http://server/v1", transport=answering(lambda: text.encode())).post("/rerank", {})


@pytest.mark.parametrize(
    "charset",
    ["zlib", "bz2", "hex", "base64", "rot13", "undefined", "idna", "punycode", "utf-16", "unicode_escape", "?"],
)
def test_a_charset_of_any_name(charset: str) -> None:
    """Python's codecs are more than encodings of text: what a server says is read as UTF-8."""

    def respond(request: httpx.Request) -> httpx.Response:
        status = 400 if request.method == "POST" else 200
        headers = {"content-type": f"text/plain; charset={charset}"}
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"too \xfflong"))

    server = remote("http://server/v1", transport=httpx.MockTransport(respond))
    with pytest.raises(EngineError, match="answered 400: too \ufffdlong"):
        server.post("/rerank", {})
    assert server.process() == ""


@pytest.mark.parametrize("encoding", ["gzip, gzip", "br", "zstd", "deflate, identity", "x" * 5000])
def test_an_answer_that_is_packed_twice(encoding: str) -> None:
    """272 bytes of gzip in gzip are 64 MB. What was not offered is not unpacked."""
    packed = gzip.compress(gzip.compress(bytes(2**20)))
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-encoding": encoding}, stream=httpx.ByteStream(packed))
    )
    with pytest.raises(EngineError, match="the answer is encoded as") as caught:
        remote("http://server/v1", transport=transport).post("/rerank", {})
    assert len(caught.value.message) < 200


def test_an_answer_that_is_packed_once() -> None:
    """Only that is offered, whatever is installed."""
    offers: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        offers.append(request.headers["accept-encoding"])
        packed = gzip.compress(b'{"a": 1}')
        return httpx.Response(200, headers={"content-encoding": "GZIP"}, stream=httpx.ByteStream(packed))

    assert remote("http://server/v1", transport=httpx.MockTransport(respond)).post("/rerank", {}) == {"a": 1}
    assert offers == ["gzip, deflate"]


@given(ANSWERS, st.sampled_from([400, 401, 404, 422, 500]))
def test_any_error_answer_is_one_error(answer: Any, status: int) -> None:
    """Whatever stands in the body of a refusal, the message is one line of bounded length."""
    transport = httpx.MockTransport(lambda _: httpx.Response(status, content=json.dumps(answer).encode()))
    with pytest.raises(EngineError) as caught:
        remote("http://server/v1", transport=transport).post("/rerank", {})
    assert len(caught.value.message) < 1000
