"""Bodies of requests. Foreign shapes ignore fields they do not know, as their own servers do; ours refuse them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Text = Annotated[str, Field(max_length=20_000)]


class DocumentText(BaseModel):
    """A document as an object."""

    text: str


class RerankRequest(BaseModel):
    """Cohere, Jina and vLLM: `documents`. With `passages` each result carries `text`; `queries` with `passages_batch`
    gives one list of results per query."""

    model: str | None = None
    query: Text | None = None
    documents: list[str | DocumentText] | None = None
    passages: list[str] | None = None
    queries: list[Text] | None = None
    passages_batch: list[list[str]] | None = None
    top_n: int | None = Field(default=None, ge=1)
    return_documents: bool | None = None
    instruction: str | None = None
    max_tokens_per_doc: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_form(self) -> RerankRequest:
        if self.queries is not None or self.passages_batch is not None:
            if self.queries is None or self.passages_batch is None or len(self.queries) != len(self.passages_batch):
                raise ValueError("`queries` and `passages_batch` must be lists of the same length")
        elif self.query is None or (self.documents is None) == (self.passages is None):
            raise ValueError("give `query` with `documents` or `passages`, or `queries` with `passages_batch`")
        return self


class TeiRequest(BaseModel):
    """text-embeddings-inference: `texts`."""

    query: Text
    texts: list[str]
    return_text: bool = False
    raw_scores: bool = False
    truncate: bool | None = None


class ScoreRequest(BaseModel):
    """vLLM's /v1/score: one text against one or many."""

    model: str | None = None
    text_1: Text
    text_2: str | list[str]


class EmbeddingsRequest(BaseModel):
    """OpenAI's embeddings, with Cohere's `input_type`."""

    model: str | None = None
    input: str | list[str]
    input_type: Literal["query", "document", "passage", "search_query", "search_document"] = "document"
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    instruction: str | None = None
    user: str | None = None


class SearchRequest(BaseModel):
    """A question to the index."""

    model_config = ConfigDict(extra="forbid")

    query: Text
    top_k: int = Field(default=5, ge=1, le=1000)
    candidates: int = Field(default=50, ge=1, le=1000)
    rerank: bool = True
    instruction: str | None = None
    min_score: float | None = Field(default=None, allow_inf_nan=False)
    paths: list[str] = []
    where: dict[str, str] = {}
    since: date | None = None
    group: bool = True


class QueryRequest(BaseModel):
    """What `ragsearch query` sends: SearchOptions as packed by rag_search.wire."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Text] = Field(min_length=1, max_length=10_000)
    options: OptionsModel


class OptionsModel(BaseModel):
    """rag_search.records.SearchOptions."""

    model_config = ConfigDict(extra="forbid")

    top_k: int = Field(ge=1)
    candidates: int = Field(ge=1)
    system: Literal["bm25", "dense", "hybrid", "rerank"]
    instruction: str | None
    min_score: float | None = Field(allow_inf_nan=False)
    paths: tuple[str, ...]
    where: dict[str, str]
    since: str | None
    group: bool


Json = dict[str, Any]
