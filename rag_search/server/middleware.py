"""Check every request before a route sees it, including requests to pages and mounted apps.

Checks the key, the Host header, the content type, and the size and speed of the body. Adds a request id, a log line and
a metric for each reply. The content of a request is not read, so no query or document can reach the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from rag_search.server.access import AccessRules, Rejected, Scope, check_access, error_body, too_large

LOGGER = logging.getLogger("ragsearch.access")
STOPPING = Rejected(503, "stopping", "the server is stopping.", {"retry-after": "2"}, remedy="Try again.")
DRAIN_S, DRAIN_BODIES = 5.0, 4  # read on for so long, and so many times the limit, if a body is too large
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))  # any other word is not logged
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Observe = Callable[[str, int, float], None]


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

    def __init__(self, app: App, rules: AccessRules, observe: Observe) -> None:
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
            check_access(scope, headers, self._rules)
            _drop_slash(scope)
            reads = scope["method"] in ("POST", "PUT", "PATCH", "DELETE")
            await self._app(scope, await self._read(receive, body) if reads else receive, send_with_id)
        except Rejected as rejected:
            if rejected.status == 413 and "expect" not in headers:  # else the client has sent nothing yet
                await self._drain(receive)
            scope.setdefault("state", {})["error"] = rejected.kind
            await _reject(rejected, send_with_id)
        except asyncio.CancelledError:  # the server stops and waits no longer; the task ends with this reply
            scope.setdefault("state", {})["error"] = STOPPING.kind
            if not status:
                await _reject(STOPPING, send_with_id)
        finally:
            self._held -= body.size
            self._log(scope, request_id, status, time.perf_counter() - start)

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
                        raise too_large(self._rules.max_body)
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
        method = scope["method"] if scope["method"] in METHODS else "other"
        facts = {"id": request_id, "method": method, "route": route, "status": status}
        facts |= {"ms": round(seconds * 1000, 1), "client": (scope.get("client") or ("", 0))[0]}
        error = scope.get("state", {}).get("error")
        LOGGER.info(json.dumps({**facts, "error": error} if error else facts))


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


def _drop_slash(scope: Scope) -> None:
    """Take a slash off the end of the path of a POST: many clients add one and do not follow a redirect."""
    if scope["method"] == "POST" and len(scope["path"]) > 1:
        scope["path"] = scope["path"].removesuffix("/")


async def _reject(rejected: Rejected, send: Send) -> None:
    body = json.dumps(error_body(rejected.status, rejected.kind, str(rejected), rejected.remedy)).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **rejected.headers}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": rejected.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
