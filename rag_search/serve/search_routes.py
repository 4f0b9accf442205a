"""Search, embeddings, status: the routes over our own index and engine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rag_search import __version__
from rag_search.announcing import announcement
from rag_search.client import EXPECT_HEADER
from rag_search.errors import InputError, RagSearchError
from rag_search.records import FloatVector, SearchOptions, SearchResult
from rag_search.render.formats import as_dict
from rag_search.render.places import Places
from rag_search.serve import replies
from rag_search.serve.errors import OtherIndexError, documented
from rag_search.serve.metrics import Metrics
from rag_search.serve.models import EmbeddingsRequest, Json, QueryRequest, SearchBatchRequest, SearchRequest
from rag_search.serve.service import Service, Texts
from rag_search.wire import pack_result

BATCH_SLICE = 32


def search_router(service: Service, metrics: Metrics) -> APIRouter:
    """/v1/search, /v1/status, /v1/models, /v1/embeddings, /health, /ready, /metrics, and the command line's own."""
    router = APIRouter(tags=["search"])
    config = service.engine.config
    expected = announcement(config, "").expectation

    @router.post("/v1/search", responses=documented(replies.SearchReply))
    async def search(body: SearchRequest) -> Response:
        result = await service.search(body.query, _options(body))
        return JSONResponse(as_dict(result, Places(config.base_dir, Path.cwd())))

    @router.post("/v1/search/batch", responses=documented(replies.SearchBatchReply))
    async def search_batch(body: SearchBatchRequest) -> Response:
        places = Places(config.base_dir, Path.cwd())
        results = await _search_all(service, body.queries, _options(body))
        return JSONResponse({"results": [as_dict(result, places) for result in results]})

    @router.post("/v1/ragsearch/query", include_in_schema=False)
    async def query(body: QueryRequest, expect: Annotated[str, Header(alias=EXPECT_HEADER)] = "") -> Json:
        if expect != expected:
            raise OtherIndexError("it has another version, index or settings.")
        results = await _search_all(service, body.queries, SearchOptions(**body.options.model_dump()))
        return {"results": [pack_result(result) for result in results]}

    @router.post("/v1/embeddings", responses=documented(replies.EmbeddingsReply))
    async def embeddings(body: EmbeddingsRequest) -> Response:
        embedder = service.engine.embedder
        if body.dimensions not in (None, embedder.dim):
            raise InputError(f"{embedder.name} makes vectors of {embedder.dim} dimensions, not {body.dimensions}.")
        texts = [body.input] if isinstance(body.input, str) else body.input
        rows = await service.embed(Texts(texts, body.input_type in ("query", "search_query"), body.instruction))
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(row, body.encoding_format)}
            for i, row in enumerate(rows)
        ]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return JSONResponse({"object": "list", "data": data, "model": embedder.name, "usage": usage})

    @router.get("/v1/models", responses=documented(replies.ModelsReply, reads_body=False))
    async def models() -> Response:
        engine = service.engine
        names = [engine.embedder.name, *([engine.reranker.name] if engine.reranker else [])]
        rows = [{"id": name, "object": "model", "created": 0, "owned_by": "ragsearch"} for name in names]
        return JSONResponse({"object": "list", "data": rows})

    @router.get("/v1/status", responses=documented(replies.StatusReply, reads_body=False))
    async def status() -> Response:
        return JSONResponse({"version": __version__, **await run_in_threadpool(service.engine.status)})

    @router.get("/health", responses=documented(replies.HealthReply, reads_body=False))
    async def health() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get(
        "/ready", responses=documented(replies.ReadyReply, reads_body=False) | {503: {"model": replies.ReadyReply}}
    )
    async def ready() -> Response:
        try:
            await run_in_threadpool(service.engine.status)
        except RagSearchError as error:
            problem = {"status": "not ready", "message": error.message, "remedy": error.remedy}
            return JSONResponse(problem, 503)
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", include_in_schema=False)
    async def show_metrics() -> Response:
        metrics.gather(service)
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return router


async def _search_all(service: Service, queries: Sequence[str], options: SearchOptions) -> list[SearchResult]:
    """In slices: a long batch must not fill the queue."""
    results: list[SearchResult] = []
    for first in range(0, len(queries), BATCH_SLICE):
        some = queries[first : first + BATCH_SLICE]
        results += await asyncio.gather(*(service.search(text, options) for text in some))
    return results


def _options(body: SearchRequest | SearchBatchRequest) -> SearchOptions:
    return SearchOptions(
        top_k=body.top_k,
        candidates=body.candidates,
        system="rerank" if body.rerank else "hybrid",
        instruction=body.instruction,
        min_score=body.min_score,
        paths=tuple(body.paths),
        where=body.where,
        since=body.since.isoformat() if body.since else None,
        group=body.group,
    )


def _encoded(row: FloatVector, encoding: str) -> list[float] | str:
    if encoding == "base64":  # little-endian float32, as OpenAI sends it
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return np.asarray(row, np.float64).tolist()  # type: ignore[no-any-return]
