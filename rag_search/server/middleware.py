"""Check every request before a route sees it, including requests to pages and mounted apps.

Checks the key, the Host header, the content type, and the size and speed of the body. Adds a request id, a log line and
a metric for each reply. The content of a request is not read, so no query or document can reach the log.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

LOGGER = logging.getLogger("ragsearch.access")
OWN_USER = "own_user"  # key in the state of requests that came over the private socket
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
DRAIN_S, DRAIN_BODIES = 5.0, 4  # read on for so long, and so many times the limit, if a body is too large
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Observe = Callable[[str, int, float], None]


@dataclass(frozen=True, slots=True)
class GuardRules:
    """Limits and permissions for requests.

    api_key: None allows requests without a key (loopback only). hosts: accepted Host names, None accepts any.
    max_body: bytes. body_timeout_s: for the whole body.
    """

    api_key: str | None
    hosts: frozenset[str] | None
    max_body: int
    body_timeout_s: float

    @property
    def max_held(self) -> int:
        """The most bytes of request bodies in memory at the same time, over all requests."""
        return 16 * self.max_body


class Rejected(Exception):
    """A request that fails a check, with the reply to it."""

    def __init__(self, status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers or {}


@dataclass(slots=True)
class _Body:
    """The part of a body that has been read."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0

    def add(self, part: bytes) -> int:
        """Append `part` and return its length."""
        self.parts.append(part)
        self.size += len(part)
        return len(part)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: App, rules: GuardRules, observe: Observe) -> None:
        self._app = app
        self._rules = rules
        self._observe = observe
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request and pass it on, or reply to it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:  # there are no web socket routes
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        start, status, body = time.perf_counter(), 0, _Body()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            self._check(scope, headers)
            reads = scope["method"] in ("POST", "PUT", "PATCH", "DELETE")
            await self._app(scope, await self._read(receive, body) if reads else receive, send_with_id)
        except Rejected as rejected:
            if rejected.status == 413 and "expect" not in headers:  # else the client has sent nothing yet
                await self._drain(receive)
            scope.setdefault("state", {})["error"] = rejected.kind
            await _reject(rejected, send_with_id)
        finally:
            self._held -= body.size
            self._log(scope, request_id, status, time.perf_counter() - start)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        rules, own = self._rules, is_own_user(scope)
        host = re.sub(r":\d+$", "", headers.get("host", "")).strip("[]").lower()
        if not own and rules.hosts is not None and host not in rules.hosts:
            raise Rejected(421, "wrong_host", "this server does not answer for that Host name.")
        if not own and rules.api_key is not None and not _has_key(headers, rules.api_key):
            raise Rejected(401, "unauthorized", "a valid API key is needed.", {"www-authenticate": _challenge(headers)})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > rules.max_body:
            raise _too_large(rules.max_body)
        if scope["method"] == "POST" and (length != "0" or "transfer-encoding" in headers):
            _check_type(scope, headers)

    async def _read(self, receive: Receive, body: _Body) -> Receive:
        """Read the whole body within the limits of size and time. Return a `receive` that replays it."""
        try:
            async with asyncio.timeout(self._rules.body_timeout_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Rejected(499, "gone", "the client went away.")
                    self._held += body.add(message.get("body", b""))
                    if body.size > self._rules.max_body:
                        raise _too_large(self._rules.max_body)
                    if self._held > self._rules.max_held:
                        raise Rejected(503, "busy", "too many large requests at the same time.", {"retry-after": "2"})
                    if not message.get("more_body", False):
                        return _replay(b"".join(body.parts), receive)
        except TimeoutError as error:
            raise Rejected(408, "timeout", "the body came too slowly.", {"connection": "close"}) from error

    async def _drain(self, receive: Receive) -> None:
        """Read on for a while: a client that is cut off while it sends may never read the reply."""
        left = DRAIN_BODIES * self._rules.max_body
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return

    def _log(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "-")
        self._observe(route, status, seconds)
        facts = {"id": request_id, "method": scope["method"], "route": route, "status": status}
        facts |= {"ms": round(seconds * 1000, 1), "client": (scope.get("client") or ("", 0))[0]}
        error = scope.get("state", {}).get("error")
        LOGGER.info(json.dumps({**facts, "error": error} if error else facts))


def is_own_user(scope: Scope) -> bool:
    """Return whether the request came over the private socket, which only the user of this server can open."""
    return bool(scope.get("state", {}).get(OWN_USER))


def _check_type(scope: Scope, headers: dict[str, str]) -> None:
    """Raise Rejected unless the body is JSON.

    A page of another site can make a browser POST other types, or no type, without a preflight request. Weaviate's
    client sends no type; it is not a browser, which would send `Origin`, so its body is taken as JSON.
    """
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if not kind and "origin" not in headers:
        scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]
    elif kind != "application/json":
        raise Rejected(415, "unsupported_media_type", "the body must be application/json.")


def _has_key(headers: dict[str, str], key: str) -> bool:
    """Return whether the request has the key.

    Accepts `Authorization: Bearer KEY`, `X-API-Key: KEY`, and Basic with the key as password (for browsers).
    """
    kind, _, token = headers.get("authorization", "").partition(" ")
    given = token.encode("latin-1")  # keys are UTF-8
    if kind.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).partition(b":")[2]
        except binascii.Error:
            given = b""
    elif kind.lower() != "bearer":
        given = headers.get("x-api-key", "").encode("latin-1")
    return hmac.compare_digest(given.strip(), key.encode())


def _challenge(headers: dict[str, str]) -> str:
    """Return the challenge: browsers get the one that makes them ask for a password."""
    return 'Basic realm="ragsearch"' if "text/html" in headers.get("accept", "") else "Bearer"


def _too_large(limit: int) -> Rejected:
    return Rejected(413, "too_large", f"the body is larger than {limit:,} bytes.", {"connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that replays the body, then passes on what the client does next."""
    given = False

    async def replayed() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _reject(rejected: Rejected, send: Send) -> None:
    error = {"message": str(rejected), "type": rejected.kind, "code": rejected.status, "remedy": ""}
    body = json.dumps({"error": error}).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **rejected.headers}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": rejected.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
