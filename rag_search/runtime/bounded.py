"""Send an HTTP request that ends in time and whose answer has a bound, however slowly or endlessly it comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import TypeVar

import httpx

MAX_ANSWER_BYTES = 64 * 2**20  # 32 vectors of 8,192 numbers as decimals take 5 MB
_ENCODINGS = ("identity", "gzip", "deflate")  # one byte of these becomes a thousand at most; two of them, a million
_OFFER = {b"Accept-Encoding": b"gzip, deflate"}  # httpx offers more where further packages are installed
_DROPPED = (b"content-encoding", b"content-length", b"content-type")  # text is UTF-8, whatever charset is named
_Answer = TypeVar("_Answer")


class TooLargeError(Exception):
    """The answer is larger than MAX_ANSWER_BYTES."""


def request_within(
    client: httpx.Client,
    method: str,
    url: str,
    *,
    content: bytes | None,
    headers: Mapping[bytes, bytes] | None,
    seconds: float,
) -> httpx.Response:
    """Send a request and read the whole answer. Raises httpx.HTTPError and TooLargeError.

    seconds: for everything; httpx's own limits start again with every byte. Raises httpx.ReadTimeout after them.
    """
    end = time.monotonic() + seconds

    def exchange() -> httpx.Response:
        with client.stream(method, url, content=content, headers={**_OFFER, **(headers or {})}) as response:
            _check_encoding(response)
            parts, size = [], 0
            for part in response.iter_bytes():
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise TooLargeError
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer takes too long", request=response.request)
                parts.append(part)
        kept = [(k, v) for k, v in response.headers.raw if k.lower() not in _DROPPED]
        return httpx.Response(response.status_code, headers=kept, content=b"".join(parts), request=response.request)

    try:
        return _call_within(exchange, seconds=seconds)
    except TimeoutError as error:
        raise httpx.ReadTimeout("the answer takes too long", request=httpx.Request(method, url)) from error


def _check_encoding(response: httpx.Response) -> None:
    """Raise httpx.DecodingError for a body that could be small here and without a bound in memory."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in _ENCODINGS:
        raise httpx.DecodingError(f"the answer is encoded as {encoding[:40]!r}", request=response.request)


def _call_within(call: Callable[[], _Answer], *, seconds: float) -> _Answer:
    """Return what `call` returns in another thread. Raises TimeoutError after `seconds`; the thread is left behind."""
    future: Future[_Answer] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits)
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name="request").start()
    return future.result(timeout=seconds + 0.1)  # what can end by itself does
