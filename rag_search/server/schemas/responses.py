"""Reply bodies for the OpenAPI document. Routes reply with plain dicts; a test checks them against these classes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_search.server.schemas.requests import DocumentText


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Usage(_Reply):
    """Tokens of the embedded texts, an estimate if the tokenizer is not on this machine.

    0 for reranked texts, whose tokens are not counted.
    """

    prompt_tokens: int
    total_tokens: int


class Ranked(_Reply):
    """One scored text. index: its 0-based position in the request. relevance_score: higher is better."""

    index: int
    relevance_score: float
    document: DocumentText | None = None
    text: str | None = None


class Scored(_Reply):
    """One score in the shape of Weaviate."""

    document: str
    score: float


class RerankReply(_Reply):
    """Ranked texts, best first; for `queries` one list per query.

    scores: at /rerank only, in the order of the request.
    """

    id: str
    model: str
    results: list[Ranked] | list[list[Ranked]]
    meta: dict[str, Any]
    usage: Usage
    query: str | None = None
    scores: list[Scored] | None = None


class TeiRank(_Reply):
    """One scored text in the shape of TEI; the list is best first."""

    index: int
    score: float
    text: str | None = None


class Score(_Reply):
    """One score in the shape of vLLM, in the order of the request."""

    index: int
    object: Literal["score"]
    score: float


class ScoreReply(_Reply):
    """The reply of /v1/score."""

    id: str
    object: Literal["list"]
    model: str
    data: list[Score]
    usage: Usage


class Embedding(_Reply):
    """A unit vector, as numbers or as base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsReply(_Reply):
    """The reply of /v1/embeddings."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: Usage


class Model(_Reply):
    """One of the two models behind this server."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsReply(_Reply):
    """The embedder and the reranker. The field `model` of a request is ignored."""

    object: Literal["list"]
    data: list[Model]


class Engine(_Reply):
    """The models and the index that answered."""

    embedder: str
    reranker: str | None
    index: str


class Sibling(_Reply):
    """Another chunk of the same document."""

    line_start: int
    line_end: int
    score: float


class Scores(_Reply):
    """The score of each stage, null if the stage did not see the chunk."""

    dense: float | None
    lexical: float | None
    fused: float | None
    rerank: float | None


class Hit(_Reply):
    """A chunk of a document. Lines are 1-based and inclusive."""

    rank: int
    score: float
    path: str
    line_start: int
    line_end: int
    line_best: int
    title: str
    heading_path: list[str]
    text: str
    scores: Scores
    siblings: list[Sibling]
    exact: list[str]
    same_in: list[str]


class SearchReply(BaseModel):
    """The JSON of `ragsearch query --format json`; fields may be added."""

    schema_version: int = Field(alias="schema")
    query: str
    instruction: str | None
    engine: Engine
    timings_ms: dict[str, float]
    confident: bool
    notes: list[str]
    hits: list[Hit]
    near_misses: list[Hit]


class SearchBatchReply(_Reply):
    """One reply for each question, in order."""

    results: list[SearchReply]


class StatusReply(_Reply):
    """The index and the models. warning: why an older index still answers, or empty."""

    version: str
    embedder: str
    reranker: str | None
    index: str
    generation: str
    documents: int
    chunks: int
    search: str
    warning: str


class HealthReply(BaseModel):
    """The process answers."""

    status: str


class ReadyReply(HealthReply):
    """status: `ready` or `not ready`."""

    message: str = ""
    remedy: str = ""


class MetaReply(_Reply):
    """The name and the fingerprint of the reranker."""

    model: str
    fingerprint: str


class Problem(_Reply):
    """An error. remedy: what to do about it."""

    message: str
    type: str
    code: int
    remedy: str = ""


class ErrorReply(_Reply):
    """The reply of every error."""

    error: Problem


class TextErrorReply(_Reply):
    """An error in the shape that clients of TEI and Weaviate read."""

    error: str
    error_type: str
