"""Routes for models, status, health, readiness and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rag_search import __version__
from rag_search.errors import RagSearchError
from rag_search.server.errors import documented
from rag_search.server.json_reply import JSONReply
from rag_search.server.metrics import Metrics
from rag_search.server.schemas import responses
from rag_search.server.service import Service


def status_router(service: Service, metrics: Metrics) -> APIRouter:
    """Return the router of /v1/models, /v1/status, /ready and /metrics, which need the key."""
    router = APIRouter(tags=["health"])

    @router.get("/v1/models", responses=documented(responses.ModelsReply, reads_body=False))
    async def models() -> Response:
        live = service.live_searcher
        names = [live.embedder.name, *([live.reranker.name] if live.reranker else [])]
        return JSONReply({"object": "list", "data": [_model(service, name) for name in names]})

    @router.get("/v1/models/{model_id:path}", responses=documented(responses.Model, reads_body=False))
    async def model(model_id: str) -> Response:
        return JSONReply(_model(service, model_id))

    @router.get("/info", responses=documented(responses.TeiInfo, reads_body=False))
    async def info() -> Response:
        return JSONReply(_tei_info(service))

    @router.get("/version", responses=documented(responses.VersionReply, reads_body=False))
    async def version() -> Response:
        return JSONReply({"version": __version__})

    @router.get("/v1/status", responses=documented(responses.StatusReply, reads_body=False))
    async def status() -> Response:
        return JSONReply({"version": __version__, **await run_in_threadpool(service.live_searcher.status)})

    @router.get(
        "/ready", responses=documented(responses.ReadyReply, reads_body=False) | {503: {"model": responses.ReadyReply}}
    )
    async def ready() -> Response:
        try:
            await run_in_threadpool(service.live_searcher.status)
        except RagSearchError as error:
            problem = {"status": "not ready", "message": error.message, "remedy": error.remedy}
            return JSONReply(problem, 503)
        return JSONReply({"status": "ready"})

    @router.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        metrics.gather(service)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


def probe_router() -> APIRouter:
    """Return the router of /health, which probes of containers ask without the key."""
    router = APIRouter(tags=["health"])

    @router.head("/health", include_in_schema=False)
    @router.get("/health", responses=documented(responses.HealthReply, reads_body=False))
    @router.api_route("/healthz", methods=["GET", "HEAD"], include_in_schema=False)
    @router.api_route("/ping", methods=["GET", "HEAD"], include_in_schema=False)
    async def health() -> Response:
        return JSONReply({"status": "ok"})

    return router


def root_router() -> APIRouter:
    """Return the router of `/`, which names the program to people and probes."""
    router = APIRouter()

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def root() -> Response:
        return JSONReply({"name": "ragsearch", "version": __version__, "api": "/openapi.json"})

    return router


def _model(service: Service, name: str) -> dict[str, object]:
    """Describe a model. Any name that is not the embedder's means the reranker, since requests may give any."""
    kind = "embedding" if name == service.live_searcher.embedder.name else "rerank"
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "ragsearch",
        "model_type": kind,
        "model_name": name,
    }


def _tei_info(service: Service) -> dict[str, object]:
    """Describe the reranker as text-embeddings-inference does. Longer inputs are truncated, never refused."""
    labels = {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    return {
        "model_id": service.reranker.name,
        "model_sha": None,
        "model_dtype": "float32",
        "model_type": {"reranker": labels},
        "max_input_length": service.live_searcher.config.settings.reranker.max_tokens_per_doc,
        "max_client_batch_size": service.settings.max_passages,
        "max_concurrent_requests": service.settings.max_queue,
        "auto_truncate": True,
        "version": __version__,
    }
