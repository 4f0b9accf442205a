"""Rerank endpoints in the shapes that other clients speak: Cohere, Jina, vLLM, TEI, Weaviate."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Body, Request, Response

from rag_search.records import FloatVector
from rag_search.serve.models import DocumentText, Json, RerankRequest, ScoreRequest, TeiRequest
from rag_search.serve.service import Service


def rerank_router(service: Service) -> APIRouter:
    """/v1/rerank, /v2/rerank, /rerank, /v1/score, and what Weaviate asks a reranker container."""
    router = APIRouter(tags=["rerank"])

    @router.post("/v1/rerank")
    async def rerank_v1(body: RerankRequest) -> Json:
        return await _rerank(service, body, return_documents=True)

    @router.post("/v2/rerank")
    async def rerank_v2(body: RerankRequest) -> Json:
        return await _rerank(service, body, return_documents=False)

    @router.post("/rerank", response_model=None)
    async def rerank(request: Request, body: Annotated[TeiRequest | RerankRequest, Body()]) -> Json | list[Json]:
        if isinstance(body, TeiRequest):
            request.state.shape = "tei"
            return await _tei(service, body)
        if "property" in await request.json():  # Weaviate's client always sends this field, and nobody else does
            request.state.shape = "weaviate"
            return await _weaviate(service, body)
        return await _rerank(service, body, return_documents=True)

    @router.post("/v1/score")
    async def score(body: ScoreRequest) -> Json:
        texts = [body.text_2] if isinstance(body.text_2, str) else body.text_2
        scores = await service.score(body.text_1, texts)
        data = [{"index": i, "object": "score", "score": float(s)} for i, s in enumerate(scores)]
        return {"id": _new_id(), "object": "list", "model": service.reranker.name, "data": data, "usage": {}}

    @router.get("/.well-known/live", status_code=204)
    @router.get("/.well-known/ready", status_code=204)
    async def live_and_ready() -> Response:
        return Response(status_code=204)

    @router.get("/meta")
    async def meta() -> Json:
        return {"model": service.reranker.name, "fingerprint": service.reranker.fingerprint}

    return router


async def _rerank(service: Service, body: RerankRequest, *, return_documents: bool) -> Json:
    reply: Json = {"id": _new_id(), "model": service.reranker.name}
    if body.queries is not None:
        pairs = list(zip(body.queries, body.passages_batch or [], strict=True))
        lists = await service.score_lists(pairs, instruction=body.instruction)
        ranked = [_best(scores, texts, body.top_n) for scores, (_, texts) in zip(lists, pairs, strict=True)]
        return {**reply, "results": [[_with_text(row, "text") for row in rows] for rows in ranked]}
    texts = body.passages if body.passages is not None else [_text(d) for d in body.documents or []]
    rows = _best(await service.score(body.query or "", texts, instruction=body.instruction), texts, body.top_n)
    if body.passages is not None:
        results = [_with_text(row, "text") for row in rows]
    elif return_documents if body.return_documents is None else body.return_documents:
        results = [_with_text(row, "document") for row in rows]
    else:
        results = [{"index": i, "relevance_score": score} for i, score, _ in rows]
    units = {"search_units": 1}
    return {**reply, "results": results, "meta": {"api_version": {"version": "2"}, "billed_units": units}, "usage": {}}


def _best(scores: FloatVector, texts: Sequence[str], top_n: int | None) -> list[tuple[int, float, str]]:
    """Index, score and text, best first."""
    return [(i, float(scores[i]), texts[i]) for i in _order(scores)][:top_n]


async def _tei(service: Service, body: TeiRequest) -> list[Json]:
    scores = await service.score(body.query, body.texts)
    rows: list[Json] = [{"index": i, "score": float(scores[i])} for i in _order(scores)]
    return [{**row, "text": body.texts[row["index"]]} for row in rows] if body.return_text else rows


async def _weaviate(service: Service, body: RerankRequest) -> Json:
    """Scores in the order of the input."""
    texts = [_text(document) for document in body.documents or []]
    scores = await service.score(body.query or "", texts)
    rows = [{"document": text, "score": float(score)} for text, score in zip(texts, scores, strict=True)]
    return {"query": body.query, "scores": rows}


def _order(scores: FloatVector) -> list[int]:
    """Best first; ties keep the order of the input."""
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    return order


def _with_text(row: tuple[int, float, str], field: str) -> Json:
    index, score, text = row
    shown: Any = {"text": text} if field == "document" else text
    return {"index": index, "relevance_score": score, field: shown}


def _text(document: str | DocumentText) -> str:
    return document if isinstance(document, str) else document.text


def _new_id() -> str:
    return f"rerank-{uuid.uuid4().hex}"
