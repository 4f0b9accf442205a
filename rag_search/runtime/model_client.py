"""Exchange JSON over HTTP with a model server: retry while it is busy, raise clear errors when it is wrong.

429, 502, 503 and broken connections are retried with back-off; a `Retry-After` of the server is respected. Everything
else is an EngineError at once, with the server's message and a remedy. The API key never appears in a message.
"""

from __future__ import annotations

import json
import re
import time
import weakref
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from rag_search.errors import EngineError
from rag_search.runtime.bounded import MAX_ANSWER_BYTES, TooLargeError, request_within
from rag_search.runtime.foreign_json import is_whole, parse_json
from rag_search.runtime.http import JSON_TYPE, bearer, clean_key, clean_url, json_body, root_of, uses_proxy

ATTEMPTS = 4
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
CONCURRENCY = 8  # requests that callers send at the same time
_BUSY = (429, 502, 503)
_SHAPE_REMEDY = ' For a server with another API than vLLM set reranker.api ("tei" for Text Embeddings Inference).'


class NoRouteError(EngineError):
    """The server has no such path or no such model: 404 means both."""


class Remote:
    """One server. url: the base that paths are appended to. what: its part in this program, for messages.

    setting: the configuration section of url and key ("embedder" or "reranker"), for remedies.
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
            httpx.URL(self.url)  # checks host names more strictly
        except (ValueError, httpx.InvalidURL) as error:
            raise EngineError(f"{setting}.url cannot be used: {error}.", remedy=f"Set {setting}.url.") from error
        self._what, self._setting, self._pause = what, setting, pause
        try:
            self._key = clean_key(api_key or "")
        except ValueError as error:
            raise EngineError(
                f"{setting}.api_key cannot be sent: {error}.", remedy=f"Set {setting}.api_key to the key alone."
            ) from error
        self._timeout_s = timeout_s
        timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, 10.0))
        self._client = httpx.Client(
            headers=bearer(self._key), timeout=timeout, transport=transport, trust_env=uses_proxy(self.url)
        )
        weakref.finalize(self, self._client.close)

    @property
    def root(self) -> str:
        """Address without its version; see `root_of`."""
        return root_of(self.url)

    def post(self, path: str, body: Mapping[str, Any], *, base: str | None = None) -> Any:
        """Send `body` and return the parsed JSON answer. base: what `path` is appended to; None: `url`.

        Raises EngineError, NoRouteError.
        """
        return _parsed(self._send("POST", (base or self.url) + path, body), self._what)

    def probe(self, path: str, body: Mapping[str, Any] | None = None) -> Any | None:
        """Return the parsed JSON answer of an optional endpoint under `root`; None when the server has none."""
        try:
            response = self._send("GET" if body is None else "POST", self.root + path, body, refused_is_answer=True)
        except _Refused:
            return None
        try:
            return parse_json(response.content)
        except ValueError:
            return None

    def process(self) -> str:
        """Return vLLM's start time, which identifies this run of the server; "" if it is not exposed."""
        try:
            text = self._send("GET", self.root + "/metrics", None, refused_is_answer=True).text
        except _Refused:
            return ""
        lines = (line for line in text.split("\n") if line.startswith("process_start_time_seconds "))
        return next(lines, "")

    def _send(
        self, method: str, url: str, body: Mapping[str, Any] | None, *, refused_is_answer: bool = False
    ) -> httpx.Response:
        """Send a request, with retries. refused_is_answer: raise _Refused instead of an error for a refusal."""
        content, headers = (None, None) if body is None else (json_body(body), JSON_TYPE)
        for attempt in range(1, ATTEMPTS + 1):
            last = attempt == ATTEMPTS
            try:
                response = request_within(
                    self._client, method, url, content=content, headers=headers, seconds=self._timeout_s
                )
            except httpx.TimeoutException as error:
                if not isinstance(error, httpx.ConnectTimeout) or last:
                    raise self._too_slow() from error
                wait = _back_off(attempt)
            except TooLargeError as error:
                raise self._too_large() from error
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
                wait = self._wait_requested(response, attempt)
            self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_requested(self, response: httpx.Response, attempt: int) -> float:
        """Return the seconds that the server asks to wait. Raises EngineError if that is too long."""
        seconds = seconds_of(response.headers.get("Retry-After", ""))
        if seconds is None:
            return _back_off(attempt)
        if seconds > LONGEST_PAUSE_S:
            raise EngineError(
                f"{self._what} at {self.url} is over its limit and asks to wait {seconds:.0f} s.",
                remedy="Run the same command again later; finished work is kept.",
            )
        return seconds

    def _unreachable(self, error: httpx.HTTPError) -> EngineError:
        """Return the error for a server that cannot be reached."""
        # httpx quotes what it cannot send, headers included
        detail = "" if isinstance(error, httpx.LocalProtocolError) else self._clean(str(error))
        return EngineError(
            f"{self._what} at {self.url} cannot be reached: {detail or type(error).__name__}.",
            remedy=f"Start it (ragsearch up), or correct {self._setting}.url. Finished work is kept.",
        )

    def _too_large(self) -> EngineError:
        """Return the error for an answer without an end."""
        return EngineError(
            f"{self._what} at {self.url} answered more than {MAX_ANSWER_BYTES >> 20} MB.",
            remedy=f"Check {self._setting}.url, then look at the server's log.",
        )

    def _too_slow(self) -> EngineError:
        """Return the error for a server that did not answer in time."""
        return EngineError(
            f"{self._what} at {self.url} did not answer in time.",
            remedy=f"Raise {self._setting}.timeout_s or look at its log.",
        )

    def _refusal(self, response: httpx.Response) -> EngineError:
        """Return the error for an answer with an error status, with the remedy for that status."""
        status, detail = response.status_code, self._clean(_message_of(response))
        shape = _SHAPE_REMEDY if self._setting == "reranker" else ""
        remedies = {
            401: f"Set {self._setting}.api_key or RAGSEARCH_{self._setting.upper()}__API_KEY.",
            403: f"Set {self._setting}.api_key to a key that may use this model.",
            404: f"Check {self._setting}.model and {self._setting}.url: its /models lists the models.{shape}",
            422: f"Check {self._setting}.url.{shape}",
            400: "A passage or query may be longer than the server's --max-model-len; otherwise run: ragsearch doctor",
            413: "Lower embedder.batch_tokens.",
        }
        kind = NoRouteError if status == 404 else EngineError
        return kind(
            f"{self._what} at {response.request.url} answered {status}: {detail}.",
            remedy=remedies.get(status, "Look at the server's log, then run: ragsearch doctor"),
        )

    def _clean(self, text: str) -> str:
        """Replace the key in a text."""
        return text.replace(self._key, "***") if self._key else text


def seconds_of(retry_after: str) -> float | None:
    """Return the seconds of a Retry-After header, a number or a date; None for any other text."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", retry_after.strip()):
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def tokens_of(answer: Any) -> list[int] | None:
    """Return the token ids of a /tokenize answer; None for any other answer, such as llama.cpp's empty list."""
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(tokens, list) or not tokens or not all(map(is_whole, tokens)):
        return None
    return tokens


def prompt_tokens_of(reply: Any) -> int | None:
    """Return the number of tokens that the server read; None when it does not count them."""
    usage = reply.get("usage") if isinstance(reply, dict) else None
    counts = [usage.get(name) for name in ("prompt_tokens", "total_tokens")] if isinstance(usage, dict) else []
    return next((count for count in counts if is_whole(count) and count > 0), None)


class _Refused(Exception):
    """The server has no such optional endpoint."""


def _back_off(attempt: int) -> float:
    """Return the seconds to wait before the next attempt."""
    return FIRST_PAUSE_S * 2.0 ** (attempt - 1)


def _parsed(response: httpx.Response, what: str) -> Any:
    """Return the JSON of an answer. Raises EngineError if it is not JSON."""
    try:
        return parse_json(response.content)
    except ValueError as error:
        raise EngineError(
            f"{what} at {response.request.url} answered something that is not JSON: {response.text[:80]!r}.",
            remedy="Check that this is the address of a model server, ending in /v1.",
        ) from error


def _message_of(response: httpx.Response) -> str:
    """Return the message inside an error answer of any of the usual shapes."""
    try:
        answer: Any = parse_json(response.content)
    except ValueError:
        return response.text[:200].strip() or response.reason_phrase
    for key in ("error", "message", "detail"):
        if isinstance(answer, dict) and key in answer:
            answer = answer[key]
    return (answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))[:400].rstrip(".")
