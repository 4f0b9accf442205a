"""The interface of an index that is searched, and the records of a search under way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.index.base import Selection
from rag_search.index.store.layout import IndexCounts
from rag_search.records import (
    Chunk,
    DocumentFacts,
    Encoded,
    EncodedQuery,
    FloatMatrix,
    Hit,
    SearchOptions,
    TokenVectors,
)
from rag_search.search.timing import Stopwatch
from rag_search.text.query import Query

Ids = NDArray[np.int64]
Ranking = tuple[Ids, NDArray[np.float32]]  # chunk ids and scores, best first

DEPTH = 100  # rows of each ranking that are fused, at least


class Index(Protocol):
    """What a search reads of an index; a `rag_search.index.ReadStore` in practice."""

    @property
    def kind(self) -> str:
        """Name of the vector search, for people."""
        ...

    @property
    def counts(self) -> IndexCounts:
        """Sizes of this generation."""
        ...

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: Selection | None = None
    ) -> tuple[Ids, NDArray[np.float32]]:
        """Return ids and cosines (q, top_k), best first; -1 where there are fewer."""
        ...

    def search_lexical(self, terms: Sequence[str], top_k: int, *, allowed: Selection | None = None) -> Ranking:
        """Return ids and BM25 scores, best first."""
        ...

    def select(
        self, *, path_glob: Sequence[str] = (), where: Mapping[str, str] | None = None, since: str | None = None
    ) -> Selection | None:
        """Return the selection of the chunks that pass the filters; None without filters."""
        ...

    @property
    def chunk_count(self) -> int:
        """Number of chunks that can be found."""
        ...

    @property
    def pending_count(self) -> int:
        """Number of chunks that have no vectors yet, and are found by their terms only."""
        ...

    def encode_with(self, encode: Callable[[Sequence[str]], Encoded]) -> None:
        """Let `encode` make the vectors of candidates that have none yet."""
        ...

    def matching(self, alternatives: Sequence[Sequence[str]], limit: int) -> list[int]:
        """Return ids of chunks that have all terms of any alternative, ascending, at most `limit`."""
        ...

    def term_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks that have each term."""
        ...

    def terms_between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        ...

    def facts(self, chunk_ids: Sequence[int]) -> list[DocumentFacts]:
        """Return what is stored about the document of each chunk, in order."""
        ...

    def within(self, chunk_ids: Sequence[int], selection: Selection) -> list[int]:
        """Return those ids that a selection contains."""
        ...

    def outside(self, chunk_ids: Sequence[int], *, allowed: Selection | None = None) -> Selection:
        """Return a selection of chunks, of those `allowed`, in other documents than those of `chunk_ids`."""
        ...

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Return the chunks, in order."""
        ...

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
        """Return the vectors of the chunks, in order."""
        ...

    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors:
        """Return the token vectors of the chunks, in order."""
        ...


class Request(NamedTuple):
    """One query with its options.

    allowed: the chunks that pass the filters, None without filters. text: the question that is searched, without
    typing errors.
    """

    query: Query
    options: SearchOptions
    allowed: Selection | None
    text: str

    @property
    def depth(self) -> int:
        """Rows asked of each ranking."""
        return max(DEPTH, self.options.candidates)


class Candidates(NamedTuple):
    """The outcome of stage one for one request.

    query: None if only BM25 was asked. hits: best first, with the scores of stage one. reference: the first of the
    hits, which scores are compared with; further ones are there for filters and for the number of documents.
    """

    request: Request
    query: EncodedQuery | None
    hits: list[Hit]
    reference: int
    clock: Stopwatch
