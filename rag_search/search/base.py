"""The records of a search under way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_search.index.base import Selection
from rag_search.records import EncodedQuery, Hit, SearchOptions
from rag_search.search.timing import Stopwatch
from rag_search.text.query import Query

Ids = NDArray[np.int64]
Ranking = tuple[Ids, NDArray[np.float32]]  # chunk ids and scores, best first

DEPTH = 100  # rows of each ranking that are fused, at least


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
