"""A model server that means something: vectors are bags of words, scores are shared words. It speaks vLLM's dialect,
TEI's for rerank, and can be told to answer badly."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from rag_search.text.terms import terms
from tests.support.fakes import word_vector

Spoil = Callable[[Any], Any]


@dataclass
class ModelServer:
    """Use as `httpx.MockTransport(server)`. refusals: answers given before anything else. spoil: changes the answer."""

    refusals: list[httpx.Response] = field(default_factory=list)
    spoil: Spoil = lambda answer: answer
    floats: bool = False
    requests: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.requests.append((request.url.path, body))
        if self.refusals:
            return self.refusals.pop(0)
        routes = {"/v1/embeddings": self._embed, "/v1/rerank": self._rerank, "/v1/score": self._score}
        routes["/rerank"] = self._tei
        route = routes.get(request.url.path)
        if route is None:
            return httpx.Response(404, json={"error": {"message": "not found"}})
        answer = self.spoil(route(body))
        return httpx.Response(200, content=answer) if isinstance(answer, bytes) else httpx.Response(200, json=answer)

    def _embed(self, body: Any) -> Any:
        rows = [word_vector(text) for text in body["input"]]
        data = [
            {"index": i, "embedding": row.tolist() if self.floats else base64.b64encode(row.tobytes()).decode()}
            for i, row in enumerate(rows)
        ]
        return {"data": data, "model": body["model"]}

    def _rerank(self, body: Any) -> Any:
        scores = shared(body["query"], body["documents"])
        order = np.argsort(-scores, kind="stable")  # sorted by score, as the real ones
        return {"results": [{"index": int(i), "relevance_score": float(scores[i])} for i in order]}

    def _tei(self, body: Any) -> Any:
        return [{"index": i, "score": float(s)} for i, s in enumerate(shared(body["query"], body["texts"]))][::-1]

    def _score(self, body: Any) -> Any:
        pairs = zip(body["queries"], body["documents"], strict=True)
        return {"data": [{"index": i, "score": float(shared(q, [d])[0])} for i, (q, d) in enumerate(pairs)]}


def shared(query: str, documents: Sequence[str]) -> np.ndarray:
    """Share of the query's words in each document."""
    wanted = set(terms(query))
    return np.array([len(wanted & set(terms(d))) / max(1, len(wanted)) for d in documents], np.float32)
