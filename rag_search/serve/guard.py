"""What every request must pass before a route sees it, pages and mounted apps included.

Key, Host header, content type, size and speed of the body; and a request id, a log line and a metric for each answer.
Nothing here reads what a request is about, so nothing of a query or a document can reach the log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

LOGGER = logging.getLogger("ragsearch.access")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Observe = Callable[[str, int, float], None]


@dataclass(frozen=True, slots=True)
class GuardRules:
    """api_key None: no key wanted (loopback only). hosts: accepted Host names, None: any (a key protects)."""

    api_key: str | None
    hosts: frozenset[str] | None
    max_body: int
    body_timeout_s: float


class Refusal(Exception):
    """The answer to a request that does not pass."""

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers or {}


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, rules: GuardRules, observe: Observe) -> None:
        self._app = app
        self._rules = rules
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # no route of ours is a web socket
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        start, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            self._check(scope, headers)
            body = await self._read(receive) if scope["method"] in ("POST", "PUT", "PATCH", "DELETE") else None
            await self._app(scope, receive if body is None else _replay(body, receive), send_with_id)
        except Refusal as refusal:
            await _refuse(refusal, send_with_id)
        finally:
            self._log(scope, request_id, status, time.perf_counter() - start)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        rules = self._rules
        host = re.sub(r":\d+$", "", headers.get("host", "")).strip("[]").lower()
        if rules.hosts is not None and host not in rules.hosts:
            raise Refusal(421, "wrong_host", "this server does not answer for that Host name.")
        if rules.api_key is not None and not _has_key(headers, rules.api_key):
            raise Refusal(401, "unauthorized", "a valid API key is needed.", {"www-authenticate": _challenge(headers)})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > rules.max_body:
            raise _too_large(rules.max_body)
        if scope["method"] == "POST" and (length != "0" or "transfer-encoding" in headers):
            _check_type(scope, headers)

    async def _read(self, receive: Receive) -> bytes:
        """The whole body, within its limits of size and time."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._rules.body_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(499, "gone", "the client went away.")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._rules.max_body:
                        raise _too_large(self._rules.max_body)
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError as error:
            raise Refusal(408, "timeout", "the body came too slowly.", {"connection": "close"}) from error

    def _log(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "-")
        self._observe(route, status, seconds)
        facts = {"id": request_id, "method": scope["method"], "route": route, "status": status}
        client = (scope.get("client") or ("", 0))[0]
        LOGGER.info(json.dumps({**facts, "ms": round(seconds * 1000, 1), "client": client}))


def _check_type(scope: Scope, headers: dict[str, str]) -> None:
    """JSON only: a page of another site may make a browser POST other types, or none, without asking us first.

    Weaviate's client names no type. It is no browser, which would send `Origin`, so its body is taken for JSON.
    """
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if not kind and "origin" not in headers:
        scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]
    elif kind != "application/json":
        raise Refusal(415, "unsupported_media_type", "the body must be application/json.")


def _has_key(headers: dict[str, str], key: str) -> bool:
    """`Authorization: Bearer KEY`, `X-API-Key: KEY`, or Basic with the key as password (so a browser can ask)."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        try:
            token = base64.b64decode(token, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            token = ""
    elif kind.lower() != "bearer":
        token = headers.get("x-api-key", "")
    return hmac.compare_digest(token.strip().encode(), key.encode())


def _challenge(headers: dict[str, str]) -> str:
    """Browsers get the challenge that makes them ask for a password."""
    return 'Basic realm="ragsearch"' if "text/html" in headers.get("accept", "") else "Bearer"


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too_large", f"the body is larger than {limit:,} bytes.", {"connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then what the client does next."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(refusal: Refusal, send: Send) -> None:
    error = {"message": str(refusal), "type": refusal.kind, "code": refusal.status}
    body = json.dumps({"error": error}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refusal.headers}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
