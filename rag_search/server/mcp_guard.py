"""Answer MCP messages that are not valid text before the SDK sees them: it would leave the client waiting."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from typing import Any

from mcp.shared.message import SessionMessage
from mcp.types import ErrorData, JSONRPCError
from pydantic import ValidationError

from rag_search.server.access import Scope
from rag_search.server.middleware import App, Message, Receive, Send

INVALID_REQUEST = -32600
MESSAGE = "the message is not valid JSON in valid Unicode. Send UTF-8 without lone surrogates."


def problem_of(text: str | bytes) -> dict[str, Any] | None:
    """Return the JSON-RPC error for a message whose strings are not valid Unicode; None for all others."""
    try:
        decoded = text if isinstance(text, str) else text.decode("utf-8")
        if "\\ud" not in decoded.lower() and decoded.isascii():
            return None
        message = json.loads(decoded)
        json.dumps(message, ensure_ascii=False).encode("utf-8")
    except (UnicodeError, RecursionError):
        return error_reply(_id_in(text))
    except ValueError:  # the SDK answers what is not JSON
        return None
    return None


def error_reply(message_id: str | int | None) -> dict[str, Any]:
    """Return a JSON-RPC error for the message with this id."""
    return {"jsonrpc": "2.0", "id": message_id, "error": {"code": INVALID_REQUEST, "message": MESSAGE}}


class UnicodeGuard:
    """ASGI middleware before the SDK's HTTP transport. It expects the whole body in one message, as Guard gives it."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reply to an invalid message, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        whole = await receive()
        reply = problem_of(whole.get("body", b""))
        if reply is None:
            await self._app(scope, _again(whole, receive), send)
            return
        body = json.dumps(reply).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def answer_invalid(messages: AsyncIterable[Any], forward: Any, replies: Any) -> None:
    """Pass messages on, and answer those that could not be read. Runs until the client closes its end."""
    async with forward:
        async for message in messages:
            if isinstance(message, ValidationError):
                line = str(message.errors(include_context=False)[0].get("input", ""))
                error = ErrorData(code=INVALID_REQUEST, message=MESSAGE)
                await replies.send(SessionMessage(JSONRPCError(jsonrpc="2.0", id=_id_in(line), error=error)))
            else:
                await forward.send(message)


def _id_in(text: str | bytes) -> str | int | None:
    """Return the id of a message as far as it can be read."""
    try:
        found = json.loads(text).get("id")
    except (ValueError, AttributeError, RecursionError):
        return None
    valid = isinstance(found, int) or (isinstance(found, str) and found.isascii())
    return found if valid and not isinstance(found, bool) else None


def _again(whole: Message, receive: Receive) -> Receive:
    """Return a `receive` that replays a message."""
    first = [whole]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay
