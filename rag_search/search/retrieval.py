"""Stage one: embed the queries, search by vectors and by terms, fuse both rankings, fetch the candidates."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rag_search.embed.base import Embedder
from rag_search.index.base import SearchStore, Selection
from rag_search.records import EncodedQuery, Hit, StageScores
from rag_search.runtime.threads import Prefetcher
from rag_search.search.base import Candidates, Ranking, Request
from rag_search.search.evidence import Evidence, find_evidence, find_marks
from rag_search.search.fusion import fuse, lift
from rag_search.search.timing import Stopwatch
from rag_search.text.terms import terms

SCORED = 1000  # BM25 scores kept for the reranker; beyond this depth a chunk counts as not matching
MAX_SPREAD = 50  # further searches for documents
SMALL_INDEX = 20_000  # chunks; a search by terms takes a millisecond, and so does sharing the interpreter with a thread

_NOTHING: Ranking = (np.empty(0, np.int64), np.empty(0, np.float32))


class _Lexical(NamedTuple):
    """The rankings by BM25 in the whole index and within the filters, evidence, and the milliseconds they took."""

    whole: Ranking
    allowed: Ranking
    evidence: Mapping[int, Evidence]
    ms: float | None


class _Dense(NamedTuple):
    """The rankings by vector in the whole index and within the filters."""

    whole: Ranking = _NOTHING
    allowed: Ranking = _NOTHING


@dataclass(frozen=True, slots=True)
class Retriever:
    """Stage one over one index.

    comparable: the reranker's scores compare a hit with the best of the whole index, so filtered queries are searched
    there, too.
    """

    index: SearchStore
    embedder: Embedder
    comparable: bool = False

    def retrieve(self, requests: Sequence[Request]) -> Generator[Candidates, None, None]:
        """Yield the candidates of each request, in order.

        All queries are embedded in one call of the model and searched in one pass over the vectors; the time recorded
        for such a stage is that of the call. Close the iterator if you do not exhaust it.
        """
        lexical = map(self._lexical, requests)
        if self.index.chunk_count <= SMALL_INDEX:
            yield from self._each(requests, lexical)
            return
        ahead = Prefetcher(lexical)  # in a thread, while the model embeds
        try:
            yield from self._each(requests, ahead)
        finally:
            ahead.finish()  # on an error the caller closes the index, so wait for the thread first

    def _each(self, requests: Sequence[Request], lexical: Iterator[_Lexical]) -> Generator[Candidates, None, None]:
        """Yield the candidates of each request. lexical: what the search by terms found for each."""
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
            yield self._candidates(request, query, by_vector, by_terms, clock)
            start = time.perf_counter()

    def _searches_whole(self, request: Request) -> bool:
        return request.allowed is None or (self.comparable and request.options.system == "rerank")

    def _lexical(self, request: Request) -> _Lexical:
        """Search by terms."""
        if request.options.system == "dense":
            return _Lexical(_NOTHING, _NOTHING, {}, None)
        start = time.perf_counter()
        words, depth = terms(request.text), max(SCORED, request.depth)
        whole = self.index.search_lexical(words, depth) if self._searches_whole(request) else _NOTHING
        allowed = _NOTHING if request.allowed is None else self._within(words, depth, request.allowed)
        evidence = find_evidence(self.index, request.query.text) if request.options.system != "bm25" else {}
        return _Lexical(whole, allowed, evidence, (time.perf_counter() - start) * 1000)

    def _within(self, words: Sequence[str], depth: int, allowed: Selection) -> Ranking:
        return self.index.search_lexical(words, depth, allowed=allowed)

    def _encode(self, requests: Sequence[Request]) -> list[EncodedQuery | None]:
        """Encode the queries, with one model call per instruction; None for queries that only BM25 answers."""
        encoded: list[EncodedQuery | None] = [None] * len(requests)
        by_instruction: dict[str | None, list[int]] = {}
        for number, request in enumerate(requests):
            if request.options.system != "bm25":
                by_instruction.setdefault(request.query.instruction, []).append(number)
        for instruction, numbers in by_instruction.items():
            texts = [requests[number].text for number in numbers]
            queries = self.embedder.encode_queries(texts, instruction=instruction).each(texts)
            for number, query in zip(numbers, queries, strict=True):
                encoded[number] = query
        return encoded

    def _dense(self, requests: Sequence[Request], queries: Sequence[EncodedQuery | None]) -> list[_Dense]:
        """Search by vector.

        Searches of the whole index share one pass for each depth; those within filters run one by one.
        """
        rankings = [_Dense()] * len(requests)
        whole: dict[int, list[int]] = {}
        for number, (request, query) in enumerate(zip(requests, queries, strict=True)):
            if query is not None and self._searches_whole(request):
                whole.setdefault(request.depth, []).append(number)
            if query is not None and request.allowed is not None:
                (ranking,) = self._nearest([query], request.depth, request.allowed)
                rankings[number] = _Dense(allowed=ranking)
        for depth, numbers in whole.items():
            alike = [query for number in numbers if (query := queries[number]) is not None]
            for number, ranking in zip(numbers, self._nearest(alike, depth, None), strict=True):
                rankings[number] = rankings[number]._replace(whole=ranking)
        return rankings

    def _nearest(self, queries: Sequence[EncodedQuery], depth: int, allowed: Selection | None) -> list[Ranking]:
        """Return the `depth` nearest chunks of each query."""
        ids, scores = self.index.search_dense(np.stack([query.vector for query in queries]), depth, allowed=allowed)
        return [(row[row >= 0], row_scores[row >= 0]) for row, row_scores in zip(ids, scores, strict=True)]

    def _candidates(
        self, request: Request, query: EncodedQuery | None, dense: _Dense, lexical: _Lexical, clock: Stopwatch
    ) -> Candidates:
        with clock("fuse"):
            whole = self._fused(request, dense.whole, lexical.whole, lexical.evidence)
            fused, reference = whole, len(whole[0])
            if request.allowed is not None:
                found = self.index.within(list(lexical.evidence), request.allowed) if lexical.evidence else []
                inside = {chunk_id: lexical.evidence[chunk_id] for chunk_id in found}
                further = self._fused(request, dense.allowed, lexical.allowed, inside)
                new = ~np.isin(further[0], whole[0])
                fused = np.concatenate((whole[0], further[0][new])), np.concatenate((whole[1], further[1][new]))
                reference = reference or len(further[0])
        with clock("fetch"):
            hits = self._hits(request, query, fused, _union(lexical))
            evidence = lexical.evidence or find_marks(request.text, [hit.chunk for hit in hits])
            hits = [_with_evidence(hit, evidence.get(hit.chunk.chunk_id)) for hit in hits]
            if request.options.group:
                hits += self._further_documents(request, query, hits)
        return Candidates(request, query, hits, reference, clock)

    def _fused(self, request: Request, dense: Ranking, lexical: Ranking, evidence: Mapping[int, Evidence]) -> Ranking:
        """Return the best `candidates` of two rankings."""
        cut = lexical[0][: request.depth], lexical[1][: request.depth]
        fused = fuse(dense, cut, all_matches=len(lexical[0]) < request.depth)
        ids, scores = lift(fused, {i: found.strength for i, found in evidence.items()}) if evidence else fused
        return ids[: request.options.candidates], scores[: request.options.candidates]

    def _further_documents(self, request: Request, query: EncodedQuery | None, hits: Sequence[Hit]) -> list[Hit]:
        """Return the best chunks of further documents, until there are `top_k` or the index has no more."""
        eligible = self._eligible(request, hits)
        known = {hit.chunk.path: hit for hit in eligible}
        further: list[Hit] = []
        for _ in range(min(MAX_SPREAD, request.options.top_k)):
            if query is None or len(known) >= request.options.top_k:
                break
            others = self.index.outside([hit.chunk.chunk_id for hit in known.values()], allowed=request.allowed)
            (ranking,) = self._nearest([query], request.options.candidates, others)
            if not len(ranking[0]):
                break
            for hit in self._hits(request, query, ranking, _NOTHING):
                if hit.chunk.path not in known and len(known) < request.options.top_k:
                    known[hit.chunk.path] = hit
                    further.append(hit)
        return further

    def _eligible(self, request: Request, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits that pass the filters."""
        if request.allowed is None or not hits:
            return list(hits)
        inside = set(self.index.within([hit.chunk.chunk_id for hit in hits], request.allowed))
        return [hit for hit in hits if hit.chunk.chunk_id in inside]

    def _hits(self, request: Request, query: EncodedQuery | None, fused: Ranking, lexical: Ranking) -> list[Hit]:
        """Return hits with the scores of stage one.

        Every candidate gets its dense score, whether the dense search found it or not, and its BM25 score down to rank
        SCORED: both are at hand, and the reranker can then weigh all candidates alike.
        """
        ids, both = fused[0].tolist(), fused[1].tolist()
        chunks = self.index.chunks(ids)  # first: a store may keep their vectors, which it has read to check them
        bm25 = dict(zip(lexical[0].tolist(), lexical[1].tolist(), strict=True))
        by_terms: list[float | None] = [bm25.get(chunk_id) for chunk_id in ids]
        by_vector: list[float | None] = [None] * len(ids)
        if query is not None and ids:
            by_vector = (self.index.vectors(ids) @ query.vector).tolist()
        single = {"bm25": by_terms, "dense": by_vector}.get(request.options.system, both)
        rows = zip(chunks, by_vector, by_terms, both, single, strict=True)
        return [
            Hit(chunk, rank, fused_score if score is None else score, StageScores(dense, terms_score, fused_score))
            for rank, (chunk, dense, terms_score, fused_score, score) in enumerate(rows, 1)
        ]


def _with_evidence(hit: Hit, evidence: Evidence | None) -> Hit:
    if evidence is None:
        return hit
    return Hit(hit.chunk, hit.rank, hit.score, hit.scores, exact=evidence.items, evidence=evidence.strength)


def _union(lexical: _Lexical) -> Ranking:
    """Return the scores of both rankings, which are equal where they overlap."""
    ids = np.concatenate((lexical.whole[0], lexical.allowed[0]))
    return ids, np.concatenate((lexical.whole[1], lexical.allowed[1]))
