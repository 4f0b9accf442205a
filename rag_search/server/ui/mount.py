"""Mount the page on the server, load Gradio when the page is likely to be wanted, and expose only the page's routes.

Importing Gradio takes seconds and about 80 MB, which a server for programs should not pay. Gradio's other routes
(files, uploads, a proxy, editing, sharing) reply 404. Other sites cannot use the page in the name of its user. The page
can load nothing from other hosts and run only its own scripts.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum, auto
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from rag_search.runtime import telemetry
from rag_search.server.access import Scope
from rag_search.server.middleware import Message, Receive, Send
from rag_search.server.service import Service

if TYPE_CHECKING:
    from starlette.types import ASGIApp

PATH = "/ui"
_READ = re.compile(r"/(config|gradio_api/app_id|theme\.css|(assets|static)/(?!.*\.\.)[\w/.-]+)?")
_ROUTES = {"GET": _READ, "HEAD": _READ, "POST": re.compile(r"/gradio_api/run/predict")}
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'none'; "
    "frame-ancestors 'none'"
)  # Gradio compiles its templates with Function(), hence unsafe-eval; attributes such as onerror stay forbidden
_FOREIGN = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>|<link rel="manifest"[^>]*>')
_ICON = (
    b'<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns=%27http://www.w3.org/2000/svg%27 viewBox=%270 0 16 16%27'
    b"%3E%3Crect width=%2716%27 height=%2716%27 rx=%273%27 fill=%27%230f766e%27/%3E%3Cpath d=%27M4 5h8M4 8h5M4 11h3%27 "
    b'stroke=%27white%27 stroke-width=%271.6%27/%3E%3C/svg%3E">'
)


class Loading(Enum):
    """When Gradio is loaded: at the first visit, as soon as the server answers, or before its address is told."""

    AT_VISIT = auto()
    AT_START = auto()
    BEFORE_START = auto()


def mount_page(app: FastAPI, service: Service, *, loading: Loading = Loading.AT_VISIT) -> None:
    """Add the page to the application at PATH, and redirect `/` there."""
    if loading is Loading.BEFORE_START:
        telemetry.switch_off()
        import_module("rag_search.server.ui.page")
    page = Page(service)
    outer = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with outer(app) as state:
            early = None if loading is Loading.AT_VISIT else asyncio.ensure_future(page.load())
            try:
                yield state
            finally:
                if early is not None:
                    early.cancel()  # Ctrl-C does not wait for an import
                    await asyncio.wait([early])
                await page.close()

    async def redirect() -> RedirectResponse:
        return RedirectResponse(f"{PATH}/")

    app.router.lifespan_context = lifespan
    app.add_api_route("/", redirect, include_in_schema=False)
    app.mount(PATH, cast("ASGIApp", page))


class Page:
    """ASGI application that guards Gradio's."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._gradio: FastAPI | None = None
        self._functions: frozenset[int] = frozenset()
        self._loading = asyncio.Lock()
        self._running = AsyncExitStack()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request for the page on to Gradio, or raise HTTPException."""
        route = scope["path"].removeprefix(scope["root_path"])
        known = _ROUTES.get(scope["method"])
        if known is None or not known.fullmatch(route):
            raise HTTPException(404, "Not Found")
        headers = Headers(scope=scope)
        _check_origin(headers)
        # without Origin Gradio grants no other site anything; without Accept-Encoding its page can be changed
        unwanted = {b"origin", b"accept-encoding"} if route == "/" else {b"origin"}
        scope["headers"] = [(name, value) for name, value in headers.raw if name not in unwanted]
        nonce = secrets.token_urlsafe(16)
        guarded = _with_policy(send, nonce)
        gradio = await self.load()
        if scope["method"] == "POST":
            receive = await _checked(receive, self._functions)
        await gradio(scope, receive, _rewritten(guarded, nonce) if route == "/" else guarded)

    async def close(self) -> None:
        """Stop Gradio's own tasks."""
        await self._running.aclose()

    async def load(self) -> FastAPI:
        """Return Gradio's application, which is made at the first call."""
        async with self._loading:
            if self._gradio is None:
                made = to_thread.run_sync(_make_gradio, self._service, abandon_on_cancel=True)
                gradio, self._functions = await made
                await self._running.enter_async_context(gradio.router.lifespan_context(gradio))
                self._gradio = gradio
        return self._gradio


def _make_gradio(service: Service) -> tuple[FastAPI, frozenset[int]]:
    """Build Gradio's application. Return it and the numbers of the functions that its page calls."""
    telemetry.switch_off()
    import gradio

    from rag_search.server.ui.page import STYLE, make_page, make_theme

    page = make_page(service)
    app: FastAPI = gradio.mount_gradio_app(
        FastAPI(openapi_url=None),
        page,
        path="",
        theme=make_theme(),
        css_paths=[STYLE],
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        enable_monitoring=False,
    )
    return app, frozenset(page.fns)


async def _checked(receive: Receive, functions: frozenset[int]) -> Receive:
    """Return a `receive` that replays the body, or raise 422 if it names no function of the page (Gradio would crash).

    The middleware has already read the whole body.
    """
    whole = await receive()
    first = iter([whole])
    try:
        known = json.loads(whole["body"])["fn_index"] in functions
    except (ValueError, TypeError, KeyError, RecursionError):
        known = False
    if not known:
        raise HTTPException(422, "the body does not name a function of the page.")

    async def again() -> Message:
        return next(first, None) or await receive()

    return again


def _check_origin(headers: Headers) -> None:
    """Raise 403 for a request from a page of another site."""
    origin = urlsplit(headers.get("origin", "")).netloc
    if "origin" in headers and origin not in (headers.get("host"), headers.get("x-forwarded-host")):
        raise HTTPException(403, "the request comes from another site.")


def _with_policy(send: Send, nonce: str) -> Send:
    """Return a `send` that adds the headers which keep a browser from running or loading anything foreign."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=list(message.get("headers", [])))
            headers["content-security-policy"] = _POLICY.format(nonce=nonce)
            headers["x-content-type-options"] = "nosniff"
            headers["referrer-policy"] = "no-referrer"
            message = {**message, "headers": headers.raw}
        await send(message)

    return sending


def _rewritten(send: Send, nonce: str) -> Send:
    """Return a `send` that removes other hosts from Gradio's page and lets its own scripts run."""
    start: Message = {}
    parts: list[bytes] = []

    async def sending(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        parts.append(message.get("body", b""))
        if message.get("more_body", False):
            return
        page = _FOREIGN.sub(b"", b"".join(parts)).replace(b"</head>", _ICON + b"</head>")
        page = page.replace(b"<script", f'<script nonce="{nonce}"'.encode())
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["content-length"] = str(len(page))
        headers["cache-control"] = "no-store"
        await send({**start, "headers": headers.raw})
        await send({"type": "http.response.body", "body": page})

    return sending
