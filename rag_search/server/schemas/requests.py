"""Bodies of search and embedding requests. Our own shapes refuse unknown fields."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StrictBool,
)

from rag_search.records import SearchOptions
from rag_search.text.sanitize import encodable

MAX_QUERIES = 256  # in one request


def _encodable(value: Any) -> Any:
    return encodable(value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    if isinstance(value, bool | str):  # pydantic takes true for 1 and "5" for 5; 5.0 is an integer in JSON
        raise ValueError("write a number")  # noqa: TRY004 - pydantic catches ValueError
    return value


def _no_number(value: Any) -> Any:
    if isinstance(value, int | float):  # would be taken for seconds since 1970
        raise ValueError("write YYYY-MM-DD")  # noqa: TRY004
    return value


# the validator is last: before a limit it would remove the limit from the OpenAPI document
Text = Annotated[str, BeforeValidator(_encodable)]
Query = Annotated[str, Field(max_length=20_000), BeforeValidator(_encodable)]
Count = Annotated[int, Field(ge=1), BeforeValidator(_number)]
Depth = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_number)]
Day = Annotated[date, BeforeValidator(_no_number)]
Json = dict[str, Any]


class EmbeddingsRequest(BaseModel):
    """The shape of OpenAI's embeddings, with Cohere's `input_type`. `dimensions` must be the engine's."""

    model: Text | None = None
    input: Text | list[Text]
    input_type: Literal["query", "document", "passage", "search_query", "search_document"] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Count | None = None
    instruction: Text | None = None
    user: Text | None = None


class _SearchFields(BaseModel):
    """The options of `ragsearch query`. `top_k`, `candidates` and `min_score` default to the settings."""

    model_config = ConfigDict(extra="forbid")

    top_k: Depth | None = None
    candidates: Depth | None = None
    rerank: StrictBool = True
    instruction: Text | None = None
    min_score: Annotated[float, Strict(), Field(allow_inf_nan=False)] | None = None
    paths: list[Text] = []
    where: dict[Text, Text] = {}
    since: Day | None = None
    group: StrictBool = True
    below_threshold: Literal["none", "nearest", "all"] = "nearest"

    def options(self, defaults: SearchOptions) -> SearchOptions:
        """Convert to SearchOptions. defaults: those of the settings."""
        return SearchOptions(
            top_k=defaults.top_k if self.top_k is None else self.top_k,
            candidates=defaults.candidates if self.candidates is None else self.candidates,
            system="rerank" if self.rerank else "hybrid",
            instruction=self.instruction,
            min_score=defaults.min_score if self.min_score is None else self.min_score,
            paths=tuple(self.paths),
            where=self.where,
            since=self.since.isoformat() if self.since else None,
            group=self.group,
            below_threshold=self.below_threshold,
        )


class SearchRequest(_SearchFields):
    """A question for the index."""

    query: Query


class SearchBatchRequest(_SearchFields):
    """Several questions with the same options."""

    queries: list[Query] = Field(min_length=1, max_length=MAX_QUERIES)


class OptionsModel(BaseModel):
    """The fields of rag_search.records.SearchOptions."""

    model_config = ConfigDict(extra="forbid")

    top_k: Count
    candidates: Count
    system: Literal["bm25", "dense", "hybrid", "rerank"]
    instruction: Text | None
    min_score: float | None = Field(allow_inf_nan=False)
    paths: tuple[Text, ...]
    where: dict[Text, Text]
    since: Text | None
    group: bool
    below_threshold: Literal["none", "nearest", "all"]


class QueryRequest(BaseModel):
    """The request of `ragsearch query`: SearchOptions as packed by rag_search.server.codec."""

    model_config = ConfigDict(extra="forbid")

    queries: list[Query] = Field(min_length=1, max_length=MAX_QUERIES)
    options: OptionsModel
