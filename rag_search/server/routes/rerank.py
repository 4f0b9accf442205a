"""Rerank routes in the shapes of other servers: Cohere, Jina, vLLM, TEI, Weaviate."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from rag_search.errors import InputError
from rag_search.records import FloatVector
from rag_search.rerank.rank import RankedPassage, order_passages
from rag_search.server.errors import documented, reads_text_errors
from rag_search.server.schemas import responses
from rag_search.server.schemas.requests import (
    AnyRerankRequest,
    BatchRequest,
    DocumentsRequest,
    Json,
    PassagesRequest,
    RerankRequest,
    ScoreRequest,
    TeiRequest,
)
from rag_search.server.service import Service

NO_TOKENS_COUNTED = {"prompt_tokens": 0, "total_tokens": 0}


def rerank_router(service: Service) -> APIRouter:
    """Return the router of /v1/rerank, /v2/rerank, /rerank, /v1/score, /score, and Weaviate's checks of a container."""
    router = APIRouter(tags=["rerank"])

    @router.post("/v1/rerank", responses=documented(responses.RerankReply))
    async def rerank_v1(body: RerankRequest) -> Response:
        return JSONResponse(await _rerank(service, body, return_documents=True))

    @router.post("/v2/rerank", responses=documented(responses.RerankReply))
    async def rerank_v2(body: RerankRequest) -> Response:
        return JSONResponse(await _rerank(service, body, return_documents=False))

    @router.post("/rerank", responses=documented(responses.RerankReply | list[responses.TeiRank], text_errors=True))
    async def rerank(request: Request, body: AnyRerankRequest) -> Response:
        request.state.text_errors = reads_text_errors(await request.json())
        if isinstance(body, TeiRequest):
            return JSONResponse(await _tei(service, body))
        return JSONResponse(await _rerank(service, body, return_documents=True, input_order=True))

    @router.post("/score", responses=documented(responses.ScoreReply))
    @router.post("/v1/score", responses=documented(responses.ScoreReply))
    async def score(body: ScoreRequest) -> Response:
        scores = np.concatenate(await service.score_lists(_pairs(body), instruction=body.instruction))
        data = [{"index": i, "object": "score", "score": float(s)} for i, s in enumerate(scores)]
        head = {"id": _new_id("score"), "object": "list", "model": service.reranker.name}
        return JSONResponse({**head, "data": data, "usage": NO_TOKENS_COUNTED})

    @router.get("/.well-known/live", status_code=204, responses=documented(reads_body=False))
    @router.get("/.well-known/ready", status_code=204, responses=documented(reads_body=False))
    async def live_and_ready() -> Response:
        return Response(status_code=204)

    @router.get("/meta", responses=documented(responses.MetaReply, reads_body=False))
    async def meta() -> Response:
        return JSONResponse({"model": service.reranker.name, "fingerprint": service.reranker.fingerprint})

    return router


async def _rerank(
    service: Service,
    body: DocumentsRequest | PassagesRequest | BatchRequest,
    *,
    return_documents: bool,
    input_order: bool = False,
) -> Json:
    """Rank passages and return the reply.

    return_documents: used if the body does not set it. input_order: add Weaviate's `scores`.
    """
    reply: Json = {"id": _new_id("rerank"), "model": service.reranker.name}
    if isinstance(body, BatchRequest):
        results: Sequence[object] = await _batch(service, body)
    elif isinstance(body, PassagesRequest):
        scores = await service.score(body.query, body.passages, instruction=body.instruction)
        results = [_result(p, text=p.text) for p in order_passages(scores, body.passages)[: body.top_n or None]]
    else:
        texts = [d if isinstance(d, str) else d.text for d in body.documents]
        scores = await service.score(body.query, texts, instruction=body.instruction)
        with_documents = return_documents if body.return_documents is None else body.return_documents
        best = order_passages(scores, texts)[: body.top_n or None]
        results = [_result(p, document={"text": p.text}) if with_documents else _result(p) for p in best]
        if input_order and with_documents:
            reply |= {"query": body.query, "scores": _in_order(texts, scores)}
    meta = {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}}
    return {**reply, "results": results, "meta": meta, "usage": NO_TOKENS_COUNTED}


async def _batch(service: Service, body: BatchRequest) -> list[list[Json]]:
    if len(body.queries) != len(body.passages_batch):
        raise InputError(
            f"{len(body.queries)} `queries`, but {len(body.passages_batch)} lists in `passages_batch`.",
            remedy="Give one list of passages for each query.",
        )
    pairs = list(zip(body.queries, body.passages_batch, strict=True))
    lists = await service.score_lists(pairs, instruction=body.instruction)
    ranked = [
        order_passages(scores, texts)[: body.top_n or None] for scores, (_, texts) in zip(lists, pairs, strict=True)
    ]
    return [[_result(p, text=p.text) for p in passages] for passages in ranked]


async def _tei(service: Service, body: TeiRequest) -> list[Json]:
    if not body.texts:
        raise InputError("`texts` cannot be empty.")
    best = order_passages(await service.score(body.query, body.texts), body.texts)
    return [{"index": p.index, "score": p.score, **({"text": p.text} if body.return_text else {})} for p in best]


def _pairs(body: ScoreRequest) -> list[tuple[str, list[str]]]:
    """Return the queries with their passages. Raises InputError if the lists differ in length."""
    queries = [body.text_1] if isinstance(body.text_1, str) else body.text_1
    texts = [body.text_2] if isinstance(body.text_2, str) else body.text_2
    if len(queries) == 1:
        return [(queries[0], texts)]
    if not queries or len(queries) != len(texts):
        raise InputError(
            f"{len(queries)} texts in `text_1` and {len(texts)} in `text_2`.",
            remedy="Give one text in `text_1`, or as many as in `text_2`.",
        )
    return [(query, [text]) for query, text in zip(queries, texts, strict=True)]


def _in_order(texts: Sequence[str], scores: FloatVector) -> list[Json]:
    return [{"document": text, "score": float(score)} for text, score in zip(texts, scores, strict=True)]


def _result(passage: RankedPassage, **extra: object) -> Json:
    return {"index": passage.index, "relevance_score": passage.score, **extra}


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"
