"""Stage one: embed the queries, search by vectors and by terms, fuse both rankings, fetch the candidates."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.base import Embedder
from rag_search.index.base import Selection
from rag_search.records import (
    Chunk,
    EncodedQuery,
    FloatMatrix,
    Hit,
    SearchOptions,
    StageScores,
    TokenVectors,
)
from rag_search.runtime.threads import Prefetcher
from rag_search.search.fusion import fuse
from rag_search.search.timing import Stopwatch
from rag_search.text.query import Query
from rag_search.text.terms import terms

DEPTH = 100  # rows of each ranking that are fused, at least
SCORED = 1000  # BM25 scores kept for the reranker; beyond this depth a chunk counts as not matching

Ranking = tuple[NDArray[np.int64], NDArray[np.float32]]  # chunk ids and scores, best first
_NOTHING: Ranking = (np.empty(0, np.int64), np.empty(0, np.float32))


class Index(Protocol):
    """What a search reads of an index; a `rag_search.index.ReadStore` in practice."""

    @property
    def kind(self) -> str:
        """Name of the vector search, for people."""
        ...

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: Selection | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
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

    allowed: the chunks that pass the filters, None without filters.
    """

    query: Query
    options: SearchOptions
    allowed: Selection | None

    @property
    def depth(self) -> int:
        """Rows asked of each ranking."""
        return max(DEPTH, self.options.candidates)


class Candidates(NamedTuple):
    """The outcome of stage one for one request.

    query: None if only BM25 was asked. hits: best first, with the scores of stage one.
    """

    request: Request
    query: EncodedQuery | None
    hits: list[Hit]
    clock: Stopwatch


class _Timed(NamedTuple):
    """A ranking and the milliseconds it took; None if it was not asked for."""

    ranking: Ranking
    ms: float | None


@dataclass(frozen=True, slots=True)
class Retriever:
    """Stage one over one index."""

    index: Index
    embedder: Embedder

    def retrieve(self, requests: Sequence[Request]) -> Generator[Candidates, None, None]:
        """Yield the candidates of each request, in order.

        All queries are embedded in one call of the model and searched in one pass over the vectors; the time recorded
        for such a stage is that of the call. Close the iterator if you do not exhaust it.
        """
        lexical = Prefetcher(map(self._lexical, requests))  # in a thread, while the model embeds
        try:
            start = time.perf_counter()
            queries = self._encode(requests)
            shared = {"embed": (time.perf_counter() - start) * 1000}
            start = time.perf_counter()
            dense = self._dense(requests, queries)
            shared["dense"] = (time.perf_counter() - start) * 1000
            start = time.perf_counter()
            for request, query, by_vector, by_terms in zip(requests, queries, dense, lexical, strict=True):
                clock = Stopwatch({} if query is None else shared, start=start)
                clock.note("lexical", by_terms.ms)
                hits = self._candidates(request, query, by_vector, by_terms.ranking, clock)
                yield Candidates(request, query, hits, clock)
                start = time.perf_counter()
        finally:
            lexical.finish()  # on an error the caller closes the index, so wait for the lexical thread first

    def _lexical(self, request: Request) -> _Timed:
        """Return the ranking by BM25."""
        if request.options.system == "dense":
            return _Timed(_NOTHING, None)
        start = time.perf_counter()
        depth = max(SCORED, request.depth)
        ranking = self.index.search_lexical(terms(request.query.text), depth, allowed=request.allowed)
        return _Timed(ranking, (time.perf_counter() - start) * 1000)

    def _encode(self, requests: Sequence[Request]) -> list[EncodedQuery | None]:
        """Encode the queries, with one model call per instruction; None for queries that only BM25 answers."""
        encoded: list[EncodedQuery | None] = [None] * len(requests)
        by_instruction: dict[str | None, list[int]] = {}
        for number, request in enumerate(requests):
            if request.options.system != "bm25":
                by_instruction.setdefault(request.query.instruction, []).append(number)
        for instruction, numbers in by_instruction.items():
            texts = [requests[number].query.text for number in numbers]
            queries = self.embedder.encode_queries(texts, instruction=instruction).each(texts)
            for number, query in zip(numbers, queries, strict=True):
                encoded[number] = query
        return encoded

    def _dense(self, requests: Sequence[Request], queries: Sequence[EncodedQuery | None]) -> list[Ranking]:
        """Return the ranking of each query by its vector.

        Queries without filters share one search for each depth; those with filters are searched one by one.
        """
        rankings = [_NOTHING] * len(requests)
        unfiltered: dict[int, list[int]] = {}
        for number, (request, query) in enumerate(zip(requests, queries, strict=True)):
            if query is not None and request.allowed is None:
                unfiltered.setdefault(request.depth, []).append(number)
            elif query is not None:
                (rankings[number],) = self._nearest([query], request.depth, request.allowed)
        for depth, numbers in unfiltered.items():
            alike = [query for number in numbers if (query := queries[number]) is not None]
            for number, ranking in zip(numbers, self._nearest(alike, depth, None), strict=True):
                rankings[number] = ranking
        return rankings

    def _nearest(self, queries: Sequence[EncodedQuery], depth: int, allowed: Selection | None) -> list[Ranking]:
        """Return the `depth` nearest chunks of each query."""
        ids, scores = self.index.search_dense(np.stack([query.vector for query in queries]), depth, allowed=allowed)
        return [(row[row >= 0], row_scores[row >= 0]) for row, row_scores in zip(ids, scores, strict=True)]

    def _candidates(
        self, request: Request, query: EncodedQuery | None, dense: Ranking, lexical: Ranking, clock: Stopwatch
    ) -> list[Hit]:
        options = request.options
        with clock("fuse"):
            cut = lexical[0][: request.depth], lexical[1][: request.depth]
            ids, fused = fuse(dense, cut, all_matches=len(lexical[0]) < request.depth)
            ids, fused = ids[: options.candidates], fused[: options.candidates]
        with clock("fetch"):
            return self._hits(request, query, (ids, fused), lexical)

    def _hits(self, request: Request, query: EncodedQuery | None, fused: Ranking, lexical: Ranking) -> list[Hit]:
        """Return hits with the scores of stage one.

        Every candidate gets its dense score, whether the dense search found it or not, and its BM25 score down to rank
        SCORED: both are at hand, and the reranker can then weigh all candidates alike.
        """
        ids = fused[0].tolist()
        dense = self.index.vectors(ids) @ query.vector if query is not None and ids else None
        bm25 = dict(zip(lexical[0].tolist(), lexical[1].tolist(), strict=True))
        hits = []
        for row, chunk in enumerate(self.index.chunks(ids)):
            both = float(fused[1][row])
            scores = StageScores(
                dense=None if dense is None else float(dense[row]), lexical=bm25.get(chunk.chunk_id), fused=both
            )
            single = {"bm25": scores.lexical, "dense": scores.dense}.get(request.options.system)
            hits.append(Hit(chunk, row + 1, both if single is None else single, scores))
        return hits
