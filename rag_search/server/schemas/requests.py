"""Request bodies. The shapes of other servers ignore unknown fields, as those servers do; our own refuse them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StrictBool,
    Tag,
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
AtMost = Annotated[int, Field(ge=0), BeforeValidator(_number)]  # 0: no limit, as in vLLM
Depth = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_number)]
Day = Annotated[date, BeforeValidator(_no_number)]
Json = dict[str, Any]


class DocumentText(BaseModel):
    """A document given as an object."""

    text: Text


class _Rerank(BaseModel):
    model: Text | None = None
    top_n: AtMost | None = None
    instruction: Text | None = None
    max_tokens_per_doc: AtMost | None = None


class DocumentsRequest(_Rerank):
    """The shape of Cohere, Jina, vLLM, and Weaviate, whose client always sends `property`."""

    query: Query
    documents: list[Text | DocumentText]
    return_documents: StrictBool | None = None


class PassagesRequest(_Rerank):
    """`passages` instead of `documents`: each result contains its `text`."""

    query: Query
    passages: list[Text]
    documents: None = None


class BatchRequest(_Rerank):
    """Several queries, each with its own passages; the reply has one list of results per query."""

    queries: list[Query] = Field(max_length=MAX_QUERIES)
    passages_batch: list[list[Text]] = Field(max_length=MAX_QUERIES)


class TeiRequest(BaseModel):
    """The shape of text-embeddings-inference. Scores are probabilities, also with `raw_scores`."""

    query: Query
    texts: list[Text]
    return_text: StrictBool = False
    raw_scores: StrictBool = False
    truncate: StrictBool | None = None


def form_of(body: Any) -> Literal["documents", "passages", "batch", "tei"]:
    """Return which of the four shapes a body has, by its fields; `documents` if none of the others."""
    given = {name for name, value in body.items() if value is not None} if isinstance(body, Mapping) else set()
    if given & {"queries", "passages_batch"}:
        return "batch"
    if "passages" in given:
        return "passages"
    return "tei" if "texts" in given and "documents" not in given else "documents"


_Documents = Annotated[DocumentsRequest, Tag("documents")]
_Passages = Annotated[PassagesRequest, Tag("passages")]
_Batch = Annotated[BatchRequest, Tag("batch")]
_Tei = Annotated[TeiRequest, Tag("tei")]
RerankRequest = Annotated[_Documents | _Passages | _Batch, Discriminator(form_of)]
AnyRerankRequest = Annotated[_Documents | _Passages | _Batch | _Tei, Discriminator(form_of)]


class ScoreRequest(BaseModel):
    """The shape of vLLM's /v1/score: one text against one or many, or the pairs of two lists of the same length.

    `queries` and `documents` are other names for the two fields.
    """

    model: Text | None = None
    text_1: Query | list[Query] = Field(validation_alias=AliasChoices("text_1", "queries"))
    text_2: Text | list[Text] = Field(validation_alias=AliasChoices("text_2", "documents"))
    instruction: Text | None = None


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
