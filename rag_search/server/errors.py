"""Turn exceptions into replies: the status, and the JSON that the kind of client reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rag_search.errors import ConfigError, IndexStoreError, InputError, RagSearchError
from rag_search.server.access import error_body
from rag_search.server.batching import BusyError, WaitedTooLongError
from rag_search.server.documents import UnreadableDocumentError
from rag_search.server.json_reply import JSONReply
from rag_search.server.schemas.rerank_requests import form_of
from rag_search.server.schemas.responses import ErrorReply, TextErrorReply

RETRY_AFTER_S = 2


class TooManyPassagesError(InputError):
    """A request with too many or too long passages."""


class OtherIndexError(RagSearchError):
    """The client expects another version, index or settings."""


_STATUS: list[tuple[type[RagSearchError], int]] = [
    (BusyError, 429),
    (WaitedTooLongError, 503),
    (TooManyPassagesError, 413),
    (OtherIndexError, 409),
    (UnreadableDocumentError, 422),
    (InputError, 400),
    (ConfigError, 400),
    (IndexStoreError, 503),
    (RagSearchError, 502),
]
_MEANING = {
    400: "The body is not JSON, or the request cannot be fulfilled",
    401: "The key is missing or wrong",
    408: "The body came too slowly",
    413: "The body is too large, or it has too many or too long passages",
    415: "The body is not application/json",
    421: "The Host name is not one of this server",
    422: "A field is missing or wrong",
    429: "Too many requests are waiting; see Retry-After",
    502: "The engine failed",
    503: "The request waited too long, or there is no index yet; see Retry-After",
}
_FIELD = re.compile(r"(?!(?:str|int|float|bool|dict|list|date)$)[a-z_][a-z_0-9]*")
_FORMS = {"documents", "passages", "batch", "tei"}  # tags of schemas.rerank_requests.RerankRequest
_WITHOUT_BODY = (400, 401, 421, 503)
_TEI_TYPE = {429: "Overloaded", 500: "Backend", 502: "Backend", 503: "Unhealthy"}  # all others: Validation


def documented(
    reply: Any = None, *, reads_body: bool = True, text_errors: bool = False
) -> dict[int | str, dict[str, Any]]:
    """Describe the replies of a route for the OpenAPI document.

    reply: the body of a 200. reads_body: whether the route has a request body. text_errors: whether it may also reply
    with TextErrorReply.
    """
    error: Any = ErrorReply | TextErrorReply if text_errors else ErrorReply
    statuses = _MEANING if reads_body else _WITHOUT_BODY
    errors: dict[int | str, dict[str, Any]] = {s: {"model": error, "description": _MEANING[s]} for s in statuses}
    return errors if reply is None else {200: {"model": reply}, **errors}


def install(app: FastAPI) -> None:
    """Install the handlers that give every error one shape, or that of TEI and Weaviate to their clients."""
    app.add_exception_handler(RagSearchError, _on_ragsearch_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


def reads_text_errors(body: Any) -> bool:
    """Return whether the sender of a body to /rerank reads `error` as a string, as clients of TEI and Weaviate do."""
    return form_of(body) == "tei" or (isinstance(body, Mapping) and "property" in body)


async def _on_ragsearch_error(request: Request, error: Exception) -> JSONReply:
    known = error if isinstance(error, RagSearchError) else RagSearchError(str(error))
    status = next(status for kind, status in _STATUS if isinstance(known, kind))
    headers = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    return _answer(request, status, type(error).__name__, known.message, known.remedy, headers)


async def _on_invalid(request: Request, error: Exception) -> JSONReply:
    """Reply with the names of the fields, never with their values, which are the client's text."""
    problems, body = (error.errors(), error.body) if isinstance(error, RequestValidationError) else ([], None)
    is_json = not problems or problems[0]["type"] != "json_invalid"
    problem_list = "; ".join(_worded(problems)[:5]) if is_json else _not_json(problems[0])
    if request.url.path.endswith("/rerank"):
        request.state.text_errors = reads_text_errors(body)
    return _answer(request, 422, "invalid_request", problem_list)


def _not_json(problem: Any) -> str:
    """Return what the parser of JSON says. It names its own grammar, never a part of the body."""
    said = problem["ctx"]["error"].removesuffix(" at")
    return f"the body is not JSON: {said} at character {problem['loc'][-1]}."


async def _on_http(request: Request, error: Exception) -> JSONReply:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    message, remedy = str(getattr(error, "detail", "")), ""
    if status == 404 and request.method == "POST":
        message, remedy = _unknown_route(request.url.path)
    return _answer(request, status, "http_error", message, remedy, headers)


def _unknown_route(path: str) -> tuple[str, str]:
    """Return the message and the remedy for a POST to no route: most such clients were given a wrong base URL."""
    if re.search(r"/v[12]/(v[12]/)?(rerank|score|embeddings)/?$", path):
        return f"there is no route {path}.", "Give this client the base URL without /v1 or /v2."
    if path.endswith(("rerank", "reranking")):
        return f"there is no route {path}.", "Set the base URL so that the client posts to /rerank or /v1/rerank."
    return "there is no such route.", "See /openapi.json."


def _worded(problems: Sequence[Any]) -> list[str]:
    """Return one sentence for each wrong field, without the names of types and branches that pydantic tries."""
    by_field: dict[tuple[str, ...], list[str]] = {}
    for problem in problems:
        field = tuple(str(part) for part in problem["loc"][1:] if isinstance(part, int) or _FIELD.fullmatch(part))
        field = field[1:] if field[:1] and field[0] in _FORMS and len(field) > 1 else field
        words = by_field.setdefault(field, [])
        message = problem["msg"].removeprefix("Value error, ")
        if message not in words:
            words.append(message)
    deepest = [f for f in by_field if not any(other[: len(f)] == f and other != f for other in by_field)]
    return [f"{'.'.join(f)}: {_either(by_field[f])}" if f else _either(by_field[f]) for f in deepest]


def _either(messages: Sequence[str]) -> str:
    first, *others = messages
    return " or ".join([first, *(message.removeprefix("Input should be ") for message in others)])


async def _on_bug(request: Request, error: Exception) -> JSONReply:
    return _answer(request, 500, "internal_error", f"an internal error ({type(error).__name__}).")


def _answer(
    request: Request, status: int, kind: str, message: str, remedy: str = "", headers: dict[str, str] | None = None
) -> JSONReply:
    request.scope.setdefault("state", {})["error"] = kind  # for the log
    if request.scope["state"].get("text_errors"):
        text = f"{message} {remedy}".strip()
        body: Any = {"error": text, "error_type": _TEI_TYPE.get(status, "Validation"), "message": text, "detail": text}
    else:
        body = error_body(status, kind, message, remedy)
    return JSONReply(body, status, headers)
