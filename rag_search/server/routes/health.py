"""Routes for models, status, health, readiness and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rag_search import __version__
from rag_search.errors import RagSearchError
from rag_search.server.errors import documented
from rag_search.server.metrics import Metrics
from rag_search.server.schemas import responses
from rag_search.server.service import Service


def health_router(service: Service, metrics: Metrics) -> APIRouter:
    """Return the router of /v1/models, /v1/status, /health, /ready and /metrics."""
    router = APIRouter(tags=["health"])

    @router.get("/v1/models", responses=documented(responses.ModelsReply, reads_body=False))
    async def models() -> Response:
        models_in_use = service.live_searcher
        names = [models_in_use.embedder.name, *([models_in_use.reranker.name] if models_in_use.reranker else [])]
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "ragsearch"} for name in names]
        return JSONResponse({"object": "list", "data": rows})

    @router.get("/v1/status", responses=documented(responses.StatusReply, reads_body=False))
    async def status() -> Response:
        return JSONResponse({"version": __version__, **await run_in_threadpool(service.live_searcher.status)})

    @router.get("/health", responses=documented(responses.HealthReply, reads_body=False))
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get(
        "/ready", responses=documented(responses.ReadyReply, reads_body=False) | {503: {"model": responses.ReadyReply}}
    )
    async def ready() -> Response:
        try:
            await run_in_threadpool(service.live_searcher.status)
        except RagSearchError as error:
            problem = {"status": "not ready", "message": error.message, "remedy": error.remedy}
            return JSONResponse(problem, 503)
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        metrics.gather(service)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router
