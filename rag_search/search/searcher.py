"""A query, from text to ranked hits: embed, retrieve, fuse, rerank, order.

"[面向新手] 如何解决Redis连接超时"
  -> instruction "面向新手" + text
  -> dense top 100 and BM25 top 100 -> fused -> 50 candidates
  -> the reranker scores 50 passages -> its score decides the order -> 5 hits, best chunk of each document first
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.base import Embedder
from rag_search.records import (
    Chunk,
    EngineNames,
    FloatMatrix,
    FloatVector,
    Hit,
    SearchOptions,
    SearchResult,
    StageScores,
    System,
    TokenVectors,
)
from rag_search.rerank.base import (
    CuttingReranker,
    PairRequest,
    Reranker,
    StoredTokenReranker,
    check_scores,
    score_all,
)
from rag_search.runtime.threads import Prefetcher
from rag_search.search.fusion import fuse
from rag_search.search.hits import closest, cut_notes, grouped, instruction_notes, ordered
from rag_search.search.timing import Stopwatch
from rag_search.text.query import Query, parse_query
from rag_search.text.terms import terms

CLOSEST = 3  # passages that an answer without hits still names
DEPTH = 100  # rows of each first-stage list that are fused, at least
SCORED = 1000  # rows whose BM25 score is kept for the reranker, who would else take rank 101 for no match at all
PER_CALL = 32  # queries whose candidates are scored in one call of a reranker that reads passages

Ranking = tuple[NDArray[np.int64], NDArray[np.float32]]
_NOTHING: Ranking = (np.empty(0, np.int64), np.empty(0, np.float32))


class Index(Protocol):
    """What a search reads; `rag_search.index.reader.IndexReader` is the real one."""

    @property
    def kind(self) -> str: ...
    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]: ...
    def search_lexical(
        self, terms: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> Ranking: ...
    def select(
        self, *, path_glob: Sequence[str] = (), where: Mapping[str, str] | None = None, since: str | None = None
    ) -> NDArray[np.int64] | None: ...
    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]: ...
    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix: ...
    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors: ...


@dataclass(frozen=True)
class Searcher:
    """The two stages over one index. `reranker` None: stage one decides the order. usual: how to search when a query
    does not say."""

    index: Index
    embedder: Embedder
    reranker: Reranker | None = None
    usual: SearchOptions = field(default_factory=SearchOptions)

    def search(self, raw: str, options: SearchOptions | None = None) -> SearchResult:
        """Answer one query.

        Raises InputError for a query with nothing to search, EngineError when an engine fails.
        """
        (result,) = self.search_many([(raw, options or self.usual)])
        return result

    def search_many(self, requests: Sequence[tuple[str, SearchOptions]]) -> list[SearchResult]:
        """Answer several queries, each with its options, in order; the same results as one by one."""
        return list(self.answers(requests))

    def answers(self, requests: Sequence[tuple[str, SearchOptions]]) -> Iterator[SearchResult]:
        """As `search_many`, each result as soon as it is there.

        All queries are embedded in one call of the model and searched in one pass over the vectors, and a reranker
        that reads passages gets those of PER_CALL queries in one call. The time of such a stage is that of the call.
        """
        asked = [self._read(raw, options) for raw, options in requests]
        rankings = Prefetcher(map(self._lexical, asked))  # in a thread, while the model embeds
        try:
            start = time.perf_counter()
            vectors = self._embed(asked)
            shared = {"embed": (time.perf_counter() - start) * 1000}
            start = time.perf_counter()
            dense = self._dense(asked, vectors)
            shared["dense"] = (time.perf_counter() - start) * 1000
            found: list[_Found] = []
            for each, vector, ranking in zip(asked, vectors, dense, strict=True):
                clock = Stopwatch({} if vector is None else shared)
                found.append(_Found(each, self._candidates(each, vector, ranking, rankings, clock), clock))
                if len(found) == (PER_CALL if self._reads_passages else 1):
                    yield from self._ranked(found)
                    found = []
            yield from self._ranked(found)
        finally:
            rankings.finish()  # whoever gets an error closes the index next

    @property
    def _reads_passages(self) -> bool:
        return self.reranker is not None and self._stored_tokens is None

    @cached_property  # isinstance with a protocol takes 50 microseconds
    def _stored_tokens(self) -> StoredTokenReranker | None:
        """The reranker, if it reads the token vectors in the index and no passages."""
        return self.reranker if isinstance(self.reranker, StoredTokenReranker) and self.embedder.token_dim else None

    @cached_property
    def _cutting(self) -> CuttingReranker | None:
        return self.reranker if isinstance(self.reranker, CuttingReranker) else None

    def _read(self, raw: str, options: SearchOptions) -> _Asked:
        query = parse_query(raw, instruction=options.instruction)
        allowed = self.index.select(path_glob=options.paths, where=options.where, since=options.since)
        return _Asked(query, options, allowed)

    def _lexical(self, asked: _Asked) -> _Timed:
        """The ranking by BM25, and the milliseconds it took."""
        if asked.options.system == "dense":
            return _Timed(_NOTHING, None)
        start = time.perf_counter()
        depth = max(SCORED, asked.depth)
        ranking = self.index.search_lexical(terms(asked.query.text), depth, allowed=asked.allowed)
        return _Timed(ranking, (time.perf_counter() - start) * 1000)

    def _embed(self, asked: Sequence[_Asked]) -> list[FloatMatrix | None]:
        """One (1, dim) row per query, None for queries that only BM25 answers; one model call per instruction."""
        vectors: list[FloatMatrix | None] = [None] * len(asked)
        by_instruction: dict[str | None, list[int]] = {}
        for number, each in enumerate(asked):
            if each.options.system != "bm25":
                by_instruction.setdefault(each.query.instruction, []).append(number)
        for instruction, numbers in by_instruction.items():
            rows = self.embedder.embed_queries([asked[n].query.text for n in numbers], instruction=instruction)
            for row, number in enumerate(numbers):
                vectors[number] = rows[row : row + 1]
        return vectors

    def _dense(self, asked: Sequence[_Asked], vectors: Sequence[FloatMatrix | None]) -> list[Ranking]:
        """The ranking of each query by its vector; queries without filters share one search."""
        rankings = [_NOTHING] * len(asked)
        alike: dict[tuple[int, int], list[int]] = {}
        for number, (each, vector) in enumerate(zip(asked, vectors, strict=True)):
            if vector is not None:
                alike.setdefault((each.depth, -1 if each.allowed is None else number), []).append(number)
        for (depth, _), numbers in alike.items():
            rows = np.concatenate([row for n in numbers if (row := vectors[n]) is not None])
            ids, scores = self.index.search_dense(rows, depth, allowed=asked[numbers[0]].allowed)
            for number, row_ids, row_scores in zip(numbers, ids, scores, strict=True):
                rankings[number] = row_ids[row_ids >= 0], row_scores[row_ids >= 0]
        return rankings

    def _candidates(
        self,
        asked: _Asked,
        vector: FloatMatrix | None,
        dense: Ranking,
        rankings: Iterator[_Timed],
        clock: Stopwatch,
    ) -> list[Hit]:
        options = asked.options
        lexical, lexical_ms = next(rankings)
        clock.note("lexical", lexical_ms)
        with clock("fuse"):
            cut = lexical[0][: asked.depth], lexical[1][: asked.depth]
            ids, fused = fuse(dense, cut, all_matches=len(lexical[0]) < asked.depth)
            ids, fused = ids[: options.candidates], fused[: options.candidates]
        with clock("fetch"):
            return self._hits(ids, fused, vector, lexical, options.system)

    def _hits(
        self,
        ids: NDArray[np.int64],
        fused: NDArray[np.float32],
        vector: FloatMatrix | None,
        lexical: Ranking,
        system: System,
    ) -> list[Hit]:
        """Hits with the scores of stage one. Every candidate gets its dense score, found by it or not, and its BM25
        score down to rank SCORED: they are at hand, and the reranker can then weigh all candidates alike."""
        wanted = ids.tolist()
        dense = self.index.vectors(wanted) @ vector[0] if vector is not None and wanted else None
        bm25 = dict(zip(lexical[0].tolist(), lexical[1].tolist(), strict=True))
        hits = []
        for row, chunk in enumerate(self.index.chunks(wanted)):
            scores = StageScores(
                dense=None if dense is None else float(dense[row]),
                lexical=bm25.get(chunk.chunk_id),
                fused=float(fused[row]),
            )
            single = {"bm25": scores.lexical, "dense": scores.dense}.get(system)
            hits.append(Hit(chunk, row + 1, float(fused[row]) if single is None else single, scores))
        return hits

    def _ranked(self, found: Sequence[_Found]) -> Iterator[SearchResult]:
        """Candidates in their final order, scored together."""
        scored = [n for n, each in enumerate(found) if each.hits and self._reranker_of(each.asked)]
        start = time.perf_counter()
        scores = dict(zip(scored, self._scores([found[n] for n in scored]), strict=True))
        rerank_ms = (time.perf_counter() - start) * 1000
        for number, (asked, hits, clock) in enumerate(found):
            if number in scores:
                clock.note("rerank", rerank_ms)
                hits = ordered(hits, scores[number])
            if asked.options.group:
                hits = grouped(hits, shown=asked.options.top_k)
            yield self._result(asked, hits, clock)

    def _scores(self, found: Sequence[_Found]) -> list[FloatVector]:
        """The reranker's scores of each query's candidates."""
        if not found or self.reranker is None:
            return []
        reranker = self._stored_tokens
        if reranker is None:
            asked = [(each.asked.query, [hit.chunk.passage for hit in each.hits]) for each in found]
            return score_all(self.reranker, [PairRequest(q.text, passages, q.instruction) for q, passages in asked])
        scores = []
        for each in found:
            tokens = self.index.token_vectors([hit.chunk.chunk_id for hit in each.hits])
            scores.append(reranker.score_stored(each.asked.query.text, each.hits, tokens))
            check_scores(scores[-1], len(each.hits), self.reranker.name)
        return scores

    def _reranker_of(self, asked: _Asked) -> Reranker | None:
        return self.reranker if asked.options.system == "rerank" else None

    def _result(self, asked: _Asked, hits: list[Hit], clock: Stopwatch) -> SearchResult:
        query, options, reranker = asked.query, asked.options, self._reranker_of(asked)
        notes = instruction_notes(query, self.embedder, reranker)
        if self._cutting is not None and reranker is not None:
            notes += cut_notes(self._cutting, hits)
        threshold = reranker.threshold if reranker else None
        confident = bool(hits) and (threshold is None or hits[0].score >= threshold)
        if options.min_score is not None:
            hits = [hit for hit in hits if hit.score >= options.min_score]
            confident = bool(hits)
        elif hits and threshold is not None and not confident:
            notes += [closest(hit, threshold) for hit in hits[:CLOSEST]]
            hits = []
        return SearchResult(
            query=query.text,
            instruction=query.instruction,
            hits=tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits[: options.top_k], 1)),
            engine=EngineNames(self.embedder.name, reranker.name if reranker else None, self.index.kind),
            timings_ms=clock.finish(),
            confident=confident,
            notes=tuple(notes),
        )


class _Asked(NamedTuple):
    """One request. allowed: the chunks that its filters leave, None for all."""

    query: Query
    options: SearchOptions
    allowed: NDArray[np.int64] | None

    @property
    def depth(self) -> int:
        """Rows asked of each first-stage list."""
        return max(DEPTH, self.options.candidates)


class _Found(NamedTuple):
    """The candidates of one request."""

    asked: _Asked
    hits: list[Hit]
    clock: Stopwatch


class _Timed(NamedTuple):
    """A ranking, and how long it took; None: it was not asked for."""

    ranking: Ranking
    ms: float | None
