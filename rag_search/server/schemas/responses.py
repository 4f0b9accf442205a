"""Reply bodies for the OpenAPI document. Routes reply with plain dicts; a test checks them against these classes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Reply(BaseModel):
    """A reply whose fields are all listed."""

    model_config = ConfigDict(extra="forbid")


class Usage(Reply):
    """Tokens of the embedded texts, an estimate if the tokenizer is not on this machine.

    0 for reranked texts, whose tokens are not counted.
    """

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class Embedding(Reply):
    """A unit vector, as numbers or as base64 of little-endian float32."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingsReply(Reply):
    """The reply of /v1/embeddings."""

    object: Literal["list"]
    model: str
    data: list[Embedding]
    usage: Usage


class Model(Reply):
    """One of the two models behind this server."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    model_type: Literal["rerank", "embedding"]
    model_name: str


class ModelsReply(Reply):
    """The embedder and the reranker. The field `model` of a request is ignored."""

    object: Literal["list"]
    data: list[Model]


class Engine(Reply):
    """The models and the index that answered."""

    embedder: str
    reranker: str | None
    index: str


class Sibling(Reply):
    """Another chunk of the same document."""

    line_start: int
    line_end: int
    score: float


class Scores(Reply):
    """The score of each stage, null if the stage did not see the chunk."""

    dense: float | None
    lexical: float | None
    fused: float | None
    rerank: float | None


class Hit(Reply):
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
    changed: str


class SearchReply(BaseModel):
    """The JSON of `ragsearch query --format json`; fields may be added."""

    schema_version: int = Field(alias="schema")
    query: str
    instruction: str | None
    engine: Engine
    timings_ms: dict[str, float]
    confident: bool
    threshold: float | None
    notes: list[str]
    hits: list[Hit]
    near_misses: list[Hit]


class SearchBatchReply(Reply):
    """One reply for each question, in order."""

    results: list[SearchReply]


class StatusReply(Reply):
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


class TeiInfo(BaseModel):
    """The reply of /info, as text-embeddings-inference describes a reranker."""

    model_id: str
    model_sha: str | None
    model_dtype: str
    model_type: dict[str, Any]
    max_input_length: int
    max_client_batch_size: int
    max_concurrent_requests: int
    auto_truncate: bool
    version: str


class VersionReply(Reply):
    """The version of ragsearch."""

    version: str


class MetaReply(Reply):
    """The name and the fingerprint of the reranker."""

    model: str
    fingerprint: str


class Problem(Reply):
    """An error. remedy: what to do about it."""

    message: str
    type: str
    code: int
    remedy: str = ""


class ErrorReply(Reply):
    """The reply of every error. message, detail: the same sentence, where other clients look for it."""

    error: Problem
    message: str
    detail: str


class TextErrorReply(Reply):
    """An error in the shape that clients of TEI and Weaviate read."""

    error: str
    error_type: str
    message: str
    detail: str
