"""Errors as answers: which status, in which shape."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from rag_search.errors import ConfigError, IndexStoreError, InputError, RagSearchError
from rag_search.serve.batching import BusyError, WaitedTooLongError

RETRY_AFTER_S = 2


class TooManyPassagesError(InputError):
    """More or longer passages than a request may have."""


class OtherIndexError(RagSearchError):
    """The client expects another version, index or settings."""


_STATUS: list[tuple[type[RagSearchError], int]] = [
    (BusyError, 429),
    (WaitedTooLongError, 503),
    (TooManyPassagesError, 413),
    (OtherIndexError, 409),
    (InputError, 400),
    (ConfigError, 400),
    (IndexStoreError, 503),
    (RagSearchError, 502),
]


def install(app: FastAPI) -> None:
    """Every error in the one shape; a request in TEI's or Weaviate's shape gets theirs."""
    app.add_exception_handler(RagSearchError, _on_ragsearch_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


async def _on_ragsearch_error(request: Request, error: Exception) -> JSONResponse:
    known = error if isinstance(error, RagSearchError) else RagSearchError(str(error))
    status = next(status for kind, status in _STATUS if isinstance(known, kind))
    headers = {"retry-after": str(RETRY_AFTER_S)} if status in (429, 503) else {}
    return _answer(request, status, type(error).__name__, known.message, known.remedy, headers)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    """Names the fields, never their values: they are the client's text."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    told = "; ".join(f"{'.'.join(str(part) for part in p['loc'])}: {p['msg']}" for p in problems[:5])
    return _answer(request, 422, "invalid_request", told)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return _answer(request, status, "http_error", str(getattr(error, "detail", "")), headers=headers)


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    return _answer(request, 500, "internal_error", f"an internal error ({type(error).__name__}).")


def _answer(
    request: Request, status: int, kind: str, message: str, remedy: str = "", headers: dict[str, str] | None = None
) -> JSONResponse:
    shape = request.scope.get("state", {}).get("shape", "")
    error: Any = {"message": message, "type": kind, "code": status, "remedy": remedy}
    if shape in ("tei", "weaviate"):  # clients of both read `error` as a string
        return JSONResponse({"error": f"{message} {remedy}".strip(), "error_type": kind}, status, headers)
    return JSONResponse({"error": error}, status, headers)
