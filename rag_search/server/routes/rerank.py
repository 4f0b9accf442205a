"""Rerank routes in the shapes of other servers: Cohere, Jina, vLLM, Voyage, TEI, NVIDIA NIM, Weaviate."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence

import numpy as np
from fastapi import APIRouter, Request, Response

from rag_search.errors import InputError
from rag_search.records import FloatVector
from rag_search.rerank.rank import RankedPassage, order_passages
from rag_search.server.documents import document_texts, text_of
from rag_search.server.errors import documented, reads_text_errors
from rag_search.server.json_reply import JSONReply
from rag_search.server.schemas import rerank_responses as responses
from rag_search.server.schemas import responses as general
from rag_search.server.schemas.requests import Json
from rag_search.server.schemas.rerank_requests import (
    BatchRequest,
    DocumentsRequest,
    PassagesRequest,
    RankingRequest,
    RerankRequest,
    ScoreRequest,
    TeiRequest,
)
from rag_search.server.service import Service
from rag_search.text.sanitize import encodable

NO_TOKENS_COUNTED = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
SMALLEST_P = 1e-7  # float32 scores of 0 and 1 have no finite logit
RERANKED = documented(responses.RerankReply | list[responses.TeiRank], text_errors=True)


def rerank_router(service: Service) -> APIRouter:
    """Return the router of the rerank and score routes."""
    router = APIRouter(tags=["rerank"])

    async def reranked(
        request: Request, body: RerankRequest, *, return_documents: bool = True, input_order: bool = False
    ) -> Response:
        if isinstance(body, TeiRequest):
            request.state.text_errors = True
            return JSONReply(await _tei(service, body))
        reply = await _rerank(service, body, return_documents=return_documents, input_order=input_order)
        return JSONReply(reply)

    @router.post("/v1/rerank", responses=RERANKED)
    @router.post("/v1/models/rerank", include_in_schema=False)  # ZeroEntropy
    async def rerank_v1(request: Request, body: RerankRequest) -> Response:
        return await reranked(request, body)

    @router.post("/v2/rerank", responses=RERANKED)
    async def rerank_v2(request: Request, body: RerankRequest) -> Response:
        return await reranked(request, body, return_documents=False)

    @router.post("/rerank", responses=RERANKED)
    async def rerank(request: Request, body: RerankRequest) -> Response:
        request.state.text_errors = reads_text_errors(await request.json())
        return await reranked(request, body, input_order=True)

    @router.post("/v1/ranking", responses=documented(responses.RankingReply))
    @router.post("/ranking", include_in_schema=False)
    @router.post("/v1/reranking", include_in_schema=False)
    @router.post("/reranking", include_in_schema=False)
    @router.post("/v1/retrieval/{model:path}/reranking", include_in_schema=False)
    async def ranking(body: RankingRequest) -> Response:
        return JSONReply(await _ranking(service, body))

    @router.post("/score", responses=documented(responses.ScoreReply))
    @router.post("/v1/score", responses=documented(responses.ScoreReply))
    async def score(body: ScoreRequest) -> Response:
        scores = np.concatenate(await service.score_lists(_pairs(body), instruction=body.instruction))
        data = [{"index": i, "object": "score", "score": float(s)} for i, s in enumerate(scores)]
        head = {"id": _new_id("score"), "object": "list", "model": service.reranker.name}
        return JSONReply({**head, "data": data, "usage": NO_TOKENS_COUNTED})

    return router


def weaviate_router(service: Service) -> APIRouter:
    """Return the router of what Weaviate asks a container of a reranker before it uses it."""
    router = APIRouter(tags=["rerank"])

    @router.get("/.well-known/live", status_code=204, responses=documented(reads_body=False))
    @router.get("/.well-known/ready", status_code=204, responses=documented(reads_body=False))
    async def live_and_ready() -> Response:
        return Response(status_code=204)

    @router.get("/meta", responses=documented(general.MetaReply, reads_body=False))
    async def meta() -> Response:
        return JSONReply({"model": service.reranker.name, "fingerprint": service.reranker.fingerprint})

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
        results = [_result(p, text=p.text) for p in order_passages(scores, body.passages)[: body.limit]]
    else:
        query, texts = text_of(body.query, "query"), document_texts(body.documents, fields=body.rank_fields)
        scores = await service.score(query, texts, instruction=body.instruction)
        with_documents = return_documents if body.return_documents is None else body.return_documents
        best = order_passages(scores, texts)[: body.limit]
        results = [_result(p, document=_document(p, body.documents)) if with_documents else _result(p) for p in best]
        if input_order and with_documents:
            reply |= {"query": query, "scores": _in_order(texts, scores)}
        if body.is_voyage:
            data = [_result(p, document=p.text) if body.return_documents else _result(p) for p in best]
            reply |= {"object": "list", "data": data}
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
    ranked = [order_passages(scores, texts)[: body.limit] for scores, (_, texts) in zip(lists, pairs, strict=True)]
    return [[_result(p, text=p.text) for p in passages] for passages in ranked]


async def _tei(service: Service, body: TeiRequest) -> list[Json]:
    if not body.texts:
        raise InputError("`texts` cannot be empty.")
    limit = body.top_n if body.top_n and body.top_n > 0 else None
    best = order_passages(await service.score(body.query, body.texts), body.texts)[:limit]
    return [{"index": p.index, "score": p.score, **({"text": p.text} if body.return_text else {})} for p in best]


async def _ranking(service: Service, body: RankingRequest) -> Json:
    texts = document_texts(body.passages)
    scores = await service.score(text_of(body.query, "query"), texts)
    limit = body.top_n if body.top_n and body.top_n > 0 else None
    rankings = [{"index": p.index, "logit": _logit(p.score)} for p in order_passages(scores, texts)[:limit]]
    return {"rankings": rankings, "usage": NO_TOKENS_COUNTED}


def _logit(score: float) -> float:
    """Return the logit of a probability; a score that is not a probability as it is."""
    if not 0 <= score <= 1:
        return score
    p = min(max(score, SMALLEST_P), 1 - SMALLEST_P)
    return math.log(p / (1 - p))


def _pairs(body: ScoreRequest) -> list[tuple[str, list[str]]]:
    """Return the queries with their passages. Raises InputError if the lists differ in length."""
    queries = document_texts(body.text_1, name="text_1")
    texts = document_texts(body.text_2, name="text_2")
    if len(queries) == 1:
        return [(queries[0], texts)]
    if not queries or len(queries) != len(texts):
        raise InputError(
            f"{len(queries)} texts in `text_1` and {len(texts)} in `text_2`.",
            remedy="Give one text in `text_1`, or as many as in `text_2`.",
        )
    return [(query, [text]) for query, text in zip(queries, texts, strict=True)]


def _document(passage: RankedPassage, documents: object) -> Json:
    """Return the document of a result: its text, and the other strings of an object, as Cohere's first version does."""
    given = documents[passage.index] if isinstance(documents, list) else None
    items = given.items() if isinstance(given, Mapping) else ()
    fields = {encodable(key): encodable(value) for key, value in items if isinstance(value, str)}
    return {**fields, "text": passage.text}


def _in_order(texts: Sequence[str], scores: FloatVector) -> list[Json]:
    return [{"document": text, "score": float(score)} for text, score in zip(texts, scores, strict=True)]


def _result(passage: RankedPassage, **extra: object) -> Json:
    return {"index": passage.index, "relevance_score": passage.score, **extra}


def _new_id(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex}"
