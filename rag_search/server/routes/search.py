"""Routes for search and embeddings, and the route of `ragsearch query`."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Header, Response
from fastapi.concurrency import run_in_threadpool

from rag_search.errors import InputError
from rag_search.records import FloatVector, SearchOptions, SearchResult
from rag_search.render.formats import as_dict
from rag_search.server.client import EXPECT_HEADER
from rag_search.server.codec import pack_result
from rag_search.server.discovery import server_record
from rag_search.server.errors import OtherIndexError, documented
from rag_search.server.json_reply import JSONReply
from rag_search.server.schemas import responses
from rag_search.server.schemas.requests import (
    EmbeddingsRequest,
    Json,
    QueryRequest,
    SearchBatchRequest,
    SearchRequest,
)
from rag_search.server.service import Service, Texts

BATCH_SLICE = 32


def search_router(service: Service) -> APIRouter:
    """Return the router of /v1/search, /v1/search/batch, /v1/embeddings and /v1/ragsearch/query."""
    router = APIRouter(tags=["search"])
    config = service.live_searcher.config
    expected = server_record(config, "").expectation
    defaults = config.settings.search.options

    @router.post("/v1/search", responses=documented(responses.SearchReply))
    async def search(body: SearchRequest) -> Response:
        result = await service.search(body.query, body.options(defaults))
        return JSONReply(as_dict(result, service.live_searcher.mapper))

    @router.post("/v1/search/batch", responses=documented(responses.SearchBatchReply))
    async def search_batch(body: SearchBatchRequest) -> Response:
        results = await _search_all(service, body.queries, body.options(defaults))
        mapper = service.live_searcher.mapper
        return JSONReply({"results": [as_dict(result, mapper) for result in results]})

    @router.post("/v1/ragsearch/query", include_in_schema=False)
    async def query(body: QueryRequest, expect: Annotated[str, Header(alias=EXPECT_HEADER)] = "") -> Json:
        if expect != expected:
            raise OtherIndexError("it has another version, index or settings.")
        results = await _search_all(service, body.queries, SearchOptions(**body.options.model_dump()))
        return {"results": [pack_result(result) for result in results]}

    @router.post("/v1/embeddings", responses=documented(responses.EmbeddingsReply))
    async def embeddings(body: EmbeddingsRequest) -> Response:
        embedder = service.live_searcher.embedder
        if body.dimensions not in (None, embedder.dim):
            raise InputError(f"{embedder.name} makes vectors of {embedder.dim} dimensions, not {body.dimensions}.")
        texts = [body.input] if isinstance(body.input, str) else body.input
        rows = await service.embed(Texts(texts, body.input_type in ("query", "search_query"), body.instruction))
        data = [
            {"object": "embedding", "index": i, "embedding": _encoded(row, body.encoding_format)}
            for i, row in enumerate(rows)
        ]
        tokens = int((await run_in_threadpool(embedder.count_tokens, texts)).sum())
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return JSONReply({"object": "list", "data": data, "model": embedder.name, "usage": usage})

    return router


async def _search_all(service: Service, queries: Sequence[str], options: SearchOptions) -> list[SearchResult]:
    """Answer the queries in slices: a long batch must not fill the queue, and even a short queue holds a slice."""
    results: list[SearchResult] = []
    size = min(BATCH_SLICE, service.settings.max_queue)
    for first in range(0, len(queries), size):
        part = queries[first : first + size]
        results += await asyncio.gather(*(service.search(text, options) for text in part))
    return results


def _encoded(row: FloatVector, encoding: str) -> list[float] | str:
    if encoding == "base64":  # little-endian float32, as in OpenAI's replies
        return base64.b64encode(row.astype("<f4").tobytes()).decode()
    return np.asarray(row, np.float64).tolist()  # type: ignore[no-any-return]
