"""Build the application: the routes, the mounted pages, and the guard around all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

from fastapi import FastAPI, Security
from fastapi.params import Depends
from fastapi.security import APIKeyHeader, HTTPBearer

from rag_search import __version__
from rag_search.config import ServerSettings
from rag_search.errors import ConfigError
from rag_search.server import errors
from rag_search.server.access import LOOPBACK, AccessRules
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.metrics import Metrics
from rag_search.server.middleware import App, Guard
from rag_search.server.routes.health import probe_router, root_router, status_router
from rag_search.server.routes.rerank import rerank_router, weaviate_router
from rag_search.server.routes.search import search_router
from rag_search.server.service import Service

Mount = Callable[[FastAPI, Service], None]


def make_app(live_searcher: LiveSearcher, *, mounts: tuple[Mount, ...] = ()) -> App:
    """Return the guarded ASGI application.

    mounts: functions that add pages to it. Raises ConfigError for an open address without a key.
    """
    settings = live_searcher.config.settings.server
    rules = make_rules(settings)
    metrics = Metrics()
    service = Service(live_searcher, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await service.close()

    app = FastAPI(
        title="ragsearch",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # both load their scripts from another host
        redoc_url=None,
    )
    errors.install(app)
    keys = _documented_keys() if rules.api_key else None
    guarded = (
        rerank_router(service),
        weaviate_router(service),
        search_router(service),
        status_router(service, metrics),
    )
    for router in guarded:
        app.include_router(router, dependencies=keys)
    app.include_router(probe_router())
    for mount in mounts:
        mount(app, service)
    app.include_router(root_router())  # last: a page has `/` for itself
    return Guard(cast("App", app), rules, metrics.observe)


def _documented_keys() -> list[Depends]:
    """Describe the ways to send the key in the OpenAPI document. The guard checks it before a route is reached."""
    return [Security(HTTPBearer(auto_error=False)), Security(APIKeyHeader(name="X-API-Key", auto_error=False))]


def make_rules(settings: ServerSettings) -> AccessRules:
    """Return the rules of the guard. Raises ConfigError unless the address is loopback or there is a key."""
    key = (settings.api_key or "").strip()  # as header values arrive
    if settings.host not in LOOPBACK and not key:
        raise ConfigError(
            f"the address {settings.host} can be reached from other machines.",
            remedy="Set server.api_key, RAGSEARCH_SERVER__API_KEY or --api-key; or use --host 127.0.0.1.",
        )
    hosts = None if key else LOOPBACK | {host.lower() for host in settings.hosts}
    return AccessRules(key or None, hosts, int(settings.max_body_mb * 2**20), settings.body_timeout_s)
