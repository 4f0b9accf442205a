"""Bodies of rerank requests, in the shapes of other servers. Unknown fields are ignored, as those servers do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)

from rag_search.server.schemas.requests import MAX_QUERIES, Json, Query, Text

_INTEGER = {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]{1,9}$"}]}
_BOOLEAN = {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false", 0, 1]}]}


def _integer(value: Any) -> Any:
    """Read "3" as 3, as most servers do. Other strings, booleans and fractions are left to fail."""
    if isinstance(value, bool):
        raise ValueError("write a number")  # noqa: TRY004 - pydantic catches ValueError
    if isinstance(value, str):
        if not value.removeprefix("-").isdecimal() or len(value) > 10:
            raise ValueError("write a number")
        return int(value)
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


def _boolean(value: Any) -> Any:
    """Read "true", "false", 1 and 0, which the client of Xinference sends."""
    known = {"true": True, "false": False, "1": True, "0": False}
    text = str(value).lower() if isinstance(value, str | int) else ""
    if text not in known:
        raise ValueError("write true or false")
    return known[text]


LaxInt = Annotated[int, BeforeValidator(_integer), WithJsonSchema(_INTEGER)]
LaxBool = Annotated[bool, BeforeValidator(_boolean), WithJsonSchema(_BOOLEAN)]
Document = Text | Json
Documents = Text | Json | list[Document]
QueryText = Query | Json


class DocumentText(BaseModel):
    """A document of a result."""

    text: Text


class _Rerank(BaseModel):
    model: Text | None = None
    top_n: LaxInt | None = None
    instruction: Text | None = None
    max_tokens_per_doc: LaxInt | None = None

    @property
    def limit(self) -> int | None:
        """The number of results; None for all, which vLLM writes as 0 or -1."""
        return self.top_n if self.top_n and self.top_n > 0 else None


class DocumentsRequest(_Rerank):
    """The shape of Cohere, Jina, vLLM, Voyage, and Weaviate, whose client always sends `property`.

    documents: strings, objects with `text`, objects of other fields, or vLLM's `content` parts. rank_fields: the fields
    of an object to rank by. top_k, truncation: Voyage's names; the reply then has `data`, too.
    """

    query: QueryText
    documents: Documents
    return_documents: LaxBool | None = None
    rank_fields: list[Text] | None = None
    top_k: LaxInt | None = None
    truncation: Any = None

    @property
    def limit(self) -> int | None:
        """The number of results by either name; None for all."""
        asked = self.top_k if self.top_n is None else self.top_n
        return asked if asked and asked > 0 else None

    @property
    def is_voyage(self) -> bool:
        """Whether the client is Voyage's, which reads `data`."""
        return bool({"top_k", "truncation"} & self.model_fields_set)


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
    """The shape of text-embeddings-inference. Scores are probabilities, also with `raw_scores`.

    top_n: not TEI's own, but LiteLLM sends it.
    """

    query: Query
    texts: list[Text]
    return_text: LaxBool = False
    raw_scores: LaxBool = False
    truncate: LaxBool | None = None
    top_n: LaxInt | None = None


class RankingRequest(BaseModel):
    """The shape of NVIDIA NIM. top_n: RAGFlow sends it."""

    query: QueryText
    passages: list[Document]
    top_n: LaxInt | None = None


class ScoreRequest(BaseModel):
    """The shape of vLLM's /v1/score: one text against one or many, or the pairs of two lists of the same length.

    `queries` with `documents` or `items`, and `data_1` with `data_2`, are other names for the two fields.
    """

    model: Text | None = None
    text_1: QueryText | list[QueryText] = Field(validation_alias=AliasChoices("text_1", "queries", "data_1"))
    text_2: Documents = Field(validation_alias=AliasChoices("text_2", "documents", "items", "data_2"))
    instruction: Text | None = None


def form_of(body: Any) -> Literal["documents", "passages", "batch", "tei"]:
    """Return which of the four shapes of /rerank a body has, by its fields; `documents` if none of the others."""
    given = {name for name, value in body.items() if value is not None} if isinstance(body, Mapping) else set()
    if given & {"queries", "passages_batch"}:
        return "batch"
    if "passages" in given:
        return "passages"
    return "tei" if "texts" in given and "documents" not in given else "documents"


RerankRequest = Annotated[
    Annotated[DocumentsRequest, Tag("documents")]
    | Annotated[PassagesRequest, Tag("passages")]
    | Annotated[BatchRequest, Tag("batch")]
    | Annotated[TeiRequest, Tag("tei")],
    Discriminator(form_of),
]
