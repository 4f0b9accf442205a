"""JSON over HTTP to a model server: retries while it is busy, clear errors when it is wrong.

Retried with back-off: 429, 502, 503 and broken connections; a `Retry-After` of the server is kept. Everything else is
an EngineError at once, with what the server said and what to do. The API key never reaches a message.
"""

from __future__ import annotations

import json
import time
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from rag_search.errors import EngineError
from rag_search.runtime.http import JSON_TYPE, bearer, clean_key, clean_url, json_body, root_of, uses_proxy

ATTEMPTS = 4
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CONCURRENCY = 8  # requests that callers send at the same time
_BUSY = (429, 502, 503)
_SHAPE_REMEDY = ' A server that speaks otherwise than vLLM: set reranker.api ("tei" for Text Embeddings Inference).'


class NoRouteError(EngineError):
    """The server has no such path, or no such model: 404 says both."""


class Remote:
    """One server. url: the base that paths are appended to. what: its part in this program, for messages.

    setting: the configuration section that holds url and key ("embedder" or "reranker"), for remedies.
    """

    def __init__(
        self,
        url: str,
        *,
        what: str,
        setting: str,
        api_key: str | None = None,
        timeout_s: float = 120.0,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        try:
            self.url = clean_url(url)
            httpx.URL(self.url)  # who has more to say about host names
        except (ValueError, httpx.InvalidURL) as error:
            raise EngineError(f"{setting}.url cannot be used: {error}.", remedy=f"Set {setting}.url.") from error
        self._what, self._setting, self._pause = what, setting, pause
        try:
            self._key = clean_key(api_key or "")
        except ValueError as error:
            raise EngineError(f"{setting}.api_key cannot be sent: {error}.", remedy="Write the key alone.") from error
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
        self._client = httpx.Client(
            headers=bearer(self._key), timeout=timeout, transport=transport, trust_env=uses_proxy(self.url)
        )
        weakref.finalize(self, self._client.close)

    @property
    def root(self) -> str:
        """See `root_of`."""
        return root_of(self.url)

    def post(self, path: str, body: Mapping[str, Any], *, base: str | None = None) -> Any:
        """The parsed JSON answer to `body`. base: what `path` is appended to, `url` unless given. Raises EngineError,
        NoRouteError."""
        return _parsed(self._send("POST", (base or self.url) + path, body), self._what)

    def probe(self, path: str, body: Mapping[str, Any] | None = None) -> Any | None:
        """The parsed JSON answer of an optional endpoint under `root`; None when the server has no such thing."""
        try:
            response = self._send("GET" if body is None else "POST", self.root + path, body, refused_is_answer=True)
        except _Refused:
            return None
        try:
            return response.json()
        except ValueError:
            return None

    def process(self) -> str:
        """What tells this run of the server from the next one: vLLM's start time; "" where it is not to be had."""
        try:
            text = self._send("GET", self.root + "/metrics", None, refused_is_answer=True).text
        except _Refused:
            return ""
        lines = (line for line in text.split("\n") if line.startswith("process_start_time_seconds "))
        return next(lines, "")

    def _send(
        self, method: str, url: str, body: Mapping[str, Any] | None, *, refused_is_answer: bool = False
    ) -> httpx.Response:
        content, headers = (None, None) if body is None else (json_body(body), JSON_TYPE)
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                response = self._client.request(method, url, content=content, headers=headers)
            except httpx.TimeoutException as error:
                if not isinstance(error, httpx.ConnectTimeout) or last:
                    raise self._too_slow() from error
                wait = _back_off(attempt)
            except httpx.HTTPError as error:
                if last:
                    raise self._unreachable(error) from error
                wait = _back_off(attempt)
            else:
                if response.is_success:
                    return response
                if response.status_code not in _BUSY and refused_is_answer:
                    raise _Refused
                if response.status_code not in _BUSY or last:
                    raise self._refusal(response)
                wait = self._wait_asked(response, attempt)
            self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_asked(self, response: httpx.Response, attempt: int) -> float:
        asked = response.headers.get("Retry-After", "")
        if not asked.replace(".", "", 1).isdigit():  # absent, or a date, which model servers do not send
            return _back_off(attempt)
        if float(asked) > LONGEST_PAUSE_S:
            raise EngineError(
                f"{self._what} at {self.url} is over its limit and asks to wait {float(asked):.0f} s.",
                remedy="Run the same command again later; what is done stays done.",
            )
        return float(asked)

    def _unreachable(self, error: httpx.HTTPError) -> EngineError:
        # what cannot be sent is quoted in its error, headers included
        said = "" if isinstance(error, httpx.LocalProtocolError) else self._clean(str(error))
        return EngineError(
            f"{self._what} at {self.url} cannot be reached: {said or type(error).__name__}.",
            remedy=f"Start it (ragsearch up), or correct {self._setting}.url. What is done stays done.",
        )

    def _too_slow(self) -> EngineError:
        return EngineError(
            f"{self._what} at {self.url} did not answer in time.",
            remedy=f"Raise {self._setting}.timeout_s or look at its log.",
        )

    def _refusal(self, response: httpx.Response) -> EngineError:
        status, said = response.status_code, self._clean(_said(response))
        shape = _SHAPE_REMEDY if self._setting == "reranker" else ""
        remedies = {
            401: f"Set {self._setting}.api_key or RAGSEARCH_{self._setting.upper()}__API_KEY.",
            403: f"Set {self._setting}.api_key to a key that may use this model.",
            404: f"Check {self._setting}.model and {self._setting}.url: its /models lists what it serves.{shape}",
            422: f"Check {self._setting}.url.{shape}",
            400: "A passage or query may be longer than the server's --max-model-len; otherwise run: ragsearch doctor",
            413: "Lower embedder.batch_tokens.",
        }
        kind = NoRouteError if status == 404 else EngineError
        return kind(
            f"{self._what} at {response.request.url} answered {status}: {said}.",
            remedy=remedies.get(status, "Look at the server's log, then run: ragsearch doctor"),
        )

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def tokens_of(answer: Any) -> list[int] | None:
    """Token ids in an answer of /tokenize; None for any other answer, such as llama.cpp's empty list."""
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not tokens or not all(isinstance(token, int) for token in tokens):
        return None
    return tokens


def prompt_tokens_of(reply: Any) -> int | None:
    """Tokens that the server says it read; None when it does not count them."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    counts = [usage.get(name) for name in ("prompt_tokens", "total_tokens")] if isinstance(usage, dict) else []
    return next((count for count in counts if isinstance(count, int) and count > 0), None)


class _Refused(Exception):
    """An optional endpoint is not there."""


def _back_off(attempt: int) -> float:
    return FIRST_PAUSE_S * 2.0 ** (attempt - 1)


def _parsed(response: httpx.Response, what: str) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise EngineError(
            f"{what} at {response.request.url} answered something that is no JSON: {response.text[:80]!r}.",
            remedy="Is this the address of a model server, ending in /v1?",
        ) from error


def _said(response: httpx.Response) -> str:
    """The message inside an error answer, whichever of the usual shapes it has."""
    try:
        answer: Any = response.json()
    except ValueError:
        return response.text[:200].strip() or response.reason_phrase
    for key in ("error", "message", "detail"):
        if isinstance(answer, dict) and key in answer:
            answer = answer[key]
    return (answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))[:400].rstrip(".")
