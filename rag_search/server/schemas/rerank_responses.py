"""Reply bodies of the rerank routes, in the shapes of other servers."""

from __future__ import annotations

from typing import Any, Literal

from rag_search.server.schemas.rerank_requests import DocumentText
from rag_search.server.schemas.responses import Reply, Usage


class Ranked(Reply):
    """One scored text. index: its 0-based position in the request. relevance_score: higher is better."""

    index: int
    relevance_score: float
    document: DocumentText | None = None
    text: str | None = None


class Scored(Reply):
    """One score in the shape of Weaviate."""

    document: str
    score: float


class VoyageRank(Reply):
    """One scored text in the shape of Voyage."""

    index: int
    relevance_score: float
    document: str | None = None


class RerankReply(Reply):
    """Ranked texts, best first; for `queries` one list per query.

    scores: at /rerank only, in the order of the request. object, data: for clients of Voyage.
    """

    id: str
    model: str
    results: list[Ranked] | list[list[Ranked]]
    meta: dict[str, Any]
    usage: Usage
    query: str | None = None
    scores: list[Scored] | None = None
    object: Literal["list"] | None = None
    data: list[VoyageRank] | None = None


class TeiRank(Reply):
    """One scored text in the shape of TEI; the list is best first."""

    index: int
    score: float
    text: str | None = None


class NimRank(Reply):
    """One scored text in the shape of NVIDIA NIM."""

    index: int
    logit: float


class RankingReply(Reply):
    """The reply of /v1/ranking, best first."""

    rankings: list[NimRank]
    usage: Usage


class Score(Reply):
    """One score in the shape of vLLM, in the order of the request."""

    index: int
    object: Literal["score"]
    score: float


class ScoreReply(Reply):
    """The reply of /v1/score."""

    id: str
    object: Literal["list"]
    model: str
    data: list[Score]
    usage: Usage
