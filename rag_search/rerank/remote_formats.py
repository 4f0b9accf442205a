"""Write rerank requests and read the replies of four kinds of servers.

vLLM, Cohere, Jina: `{model, query, documents}` -> `{results: [{index, relevance_score}]}`, sorted by score.
TEI: `{query, texts}` -> `[{index, score}]`, at the root of the server.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from rag_search.errors import EngineError
from rag_search.records import FloatVector
from rag_search.runtime.foreign_json import is_finite, is_whole

Shape = Literal["vllm", "tei", "cohere", "jina"]
MAX_DOCUMENTS: Mapping[Shape, int] = {"vllm": 256, "tei": 32, "cohere": 1000, "jina": 1000}  # in one request


def shape_of(url: str) -> Shape:
    """Return the kind of server: the hosted services by their address, vLLM otherwise."""
    for shape in ("cohere", "jina"):
        if f"api.{shape}." in url:
            return "cohere" if shape == "cohere" else "jina"
    return "vllm"


def rerank_body(
    shape: Shape, model: str, query: str, passages: Sequence[str], *, instruction: str | None, max_tokens: int
) -> dict[str, Any]:
    """Return the body of a request. Only vLLM takes an instruction; vLLM and Cohere truncate at `max_tokens`."""
    if shape == "tei":
        return {"query": query, "texts": list(passages), "raw_scores": False, "truncate": True}
    body: dict[str, Any] = {"model": model, "query": query, "documents": list(passages), "top_n": len(passages)}
    if shape == "jina":
        return {**body, "return_documents": False}
    body["max_tokens_per_doc"] = max_tokens
    if shape == "vllm" and instruction:
        body["instruction"] = instruction
    return body


def read_scores(answer: Any, wanted: int, name: str) -> FloatVector:
    """Return the scores in the order of the passages, from a reply of any kind of server.

    wanted: number of passages. name: of the reranker, for errors. Raises EngineError for a reply of another form and
    for a missing, extra, repeated or non-finite score.
    """
    rows = answer.get("results", answer.get("data")) if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _wrong(name, "an answer without results")
    scores = np.full(wanted, np.nan, np.float32)
    for row in rows:
        index, score = row.get("index"), row.get("relevance_score", row.get("score"))
        if not is_whole(index) or not 0 <= index < wanted:
            raise _wrong(name, f"a score for passage {reprlib.repr(index)} of {wanted}")
        if not np.isnan(scores[index]):
            raise _wrong(name, f"two scores for passage {index}")
        if not is_finite(score):
            raise _wrong(name, f"the score {reprlib.repr(score)} for passage {index}")
        scores[index] = score
    if np.isnan(scores).any():
        raise _wrong(name, f"{len(rows)} scores for {wanted} passages")
    return scores


def _wrong(name: str, what: str) -> EngineError:
    return EngineError(f"{name} answered {what}.", remedy="Check reranker.url and reranker.api, then: ragsearch doctor")
