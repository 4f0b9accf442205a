"""A query, from text to ranked hits: embed, retrieve, fuse, rerank, order.

"[面向新手] 如何解决Redis连接超时"
  -> instruction "面向新手" + text
  -> dense top 100 and BM25 top 100 -> fused -> 50 candidates
  -> the reranker scores 50 passages -> its score decides the order -> 5 hits, best chunk of each document first
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.base import Embedder
from rag_search.fusion import fuse
from rag_search.lexical import terms
from rag_search.parallel import Ahead
from rag_search.query_text import Query, parse_query
from rag_search.records import (
    Chunk,
    EngineNames,
    FloatMatrix,
    FloatVector,
    Hit,
    SearchOptions,
    SearchResult,
    Sibling,
    StageScores,
    System,
    TokenVectors,
)
from rag_search.rerank.base import CuttingReranker, Reranker, StoredTokenReranker, check_scores
from rag_search.stopwatch import Stopwatch

CLOSEST = 3  # passages that an answer without hits still names
DEPTH = 100  # rows asked of each first-stage list, at least

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
    """The two stages over one index. `reranker` None: stage one decides the order."""

    index: Index
    embedder: Embedder
    reranker: Reranker | None = None

    def search(self, raw: str, options: SearchOptions | None = None) -> SearchResult:
        """Answer one query.

        Raises InputError for a query with nothing to search, EngineError when an engine fails.
        """
        (result,) = self.search_many([(raw, options or SearchOptions())])
        return result

    def search_many(self, requests: Sequence[tuple[str, SearchOptions]]) -> list[SearchResult]:
        """Answer several queries, each with its options, in order; all are embedded in one call of the model, and
        each result's `embed` time is that of the call."""
        asked = [self._read(raw, options) for raw, options in requests]
        with closing(Ahead(map(self._lexical, asked))) as rankings:  # in a thread, while the model embeds
            start = time.perf_counter()
            vectors = self._embed(asked)
            embed_ms = (time.perf_counter() - start) * 1000
            return [
                self._answer(each, vector, rankings, Stopwatch(embed=None if vector is None else embed_ms))
                for each, vector in zip(asked, vectors, strict=True)
            ]

    def _read(self, raw: str, options: SearchOptions) -> _Asked:
        query = parse_query(raw, instruction=options.instruction)
        allowed = self.index.select(path_glob=options.paths, where=options.where, since=options.since)
        return _Asked(query, options, allowed)

    def _lexical(self, asked: _Asked) -> _Timed:
        """The ranking by BM25, and the milliseconds it took."""
        if asked.options.system == "dense":
            return _Timed(_NOTHING, None)
        start = time.perf_counter()
        ranking = self.index.search_lexical(terms(asked.query.text), asked.depth, allowed=asked.allowed)
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

    def _answer(
        self, asked: _Asked, vector: FloatMatrix | None, rankings: Iterator[_Timed], clock: Stopwatch
    ) -> SearchResult:
        query, options = asked.query, asked.options
        hits = self._candidates(asked, vector, rankings, clock)
        reranker = self.reranker if options.system == "rerank" else None
        if reranker is not None and hits:
            with clock("rerank"):
                hits = _ordered(hits, self._rerank(reranker, query, hits))
        if options.group:
            hits = _grouped(hits)
        return self._result(query, options, hits, reranker, clock)

    def _candidates(
        self, asked: _Asked, vector: FloatMatrix | None, rankings: Iterator[_Timed], clock: Stopwatch
    ) -> list[Hit]:
        options = asked.options
        dense = _NOTHING
        if vector is not None:
            with clock("dense"):
                ids, scores = self.index.search_dense(vector, asked.depth, allowed=asked.allowed)
                found = ids[0] >= 0
                dense = ids[0][found], scores[0][found]
        lexical, lexical_ms = next(rankings)
        clock.note("lexical", lexical_ms)
        with clock("fuse"):
            ids, fused = fuse(dense, lexical)
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
        """Hits with the scores of stage one. Every candidate gets its dense score, found by it or not: the rows are
        at hand, and the reranker can then weigh all candidates alike."""
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

    def _rerank(self, reranker: Reranker, query: Query, hits: Sequence[Hit]) -> FloatVector:
        if isinstance(reranker, StoredTokenReranker) and self.embedder.token_dim:
            scores = reranker.score_stored(
                query.text, hits, self.index.token_vectors([hit.chunk.chunk_id for hit in hits])
            )
        else:
            scores = reranker.score(query.text, [hit.chunk.passage for hit in hits], instruction=query.instruction)
        check_scores(scores, len(hits), reranker.name)
        return scores

    def _result(
        self, query: Query, options: SearchOptions, hits: list[Hit], reranker: Reranker | None, clock: Stopwatch
    ) -> SearchResult:
        notes = _instruction_notes(query, self.embedder, reranker) + _cut_notes(reranker, hits)
        threshold = reranker.threshold if reranker else None
        confident = bool(hits) and (threshold is None or hits[0].score >= threshold)
        if options.min_score is not None:
            hits = [hit for hit in hits if hit.score >= options.min_score]
            confident = bool(hits)
        elif hits and threshold is not None and not confident:
            notes += [_closest(hit, threshold) for hit in hits[:CLOSEST]]
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


def _ordered(hits: Sequence[Hit], scores: FloatVector) -> list[Hit]:
    """The reranker's score decides; ties keep the order of retrieval."""
    order = np.argsort(-scores, kind="stable").tolist()
    return [
        replace(hits[i], score=float(scores[i]), scores=replace(hits[i].scores, rerank=float(scores[i]))) for i in order
    ]


def _grouped(hits: Sequence[Hit]) -> list[Hit]:
    """The best hit of each document in order, with the document's other hits as siblings."""
    by_path: dict[str, list[Hit]] = {}
    for hit in hits:
        by_path.setdefault(hit.chunk.path, []).append(hit)
    return [
        replace(first, siblings=tuple(Sibling(o.chunk.line_start, o.chunk.line_end, o.score) for o in rest))
        for first, *rest in by_path.values()
    ]


def _closest(hit: Hit, threshold: float) -> str:
    return f"close, not confident: {hit.chunk.path}:{hit.chunk.line_start}, score {hit.score:.2f} < {threshold:.2f}"


def _instruction_notes(query: Query, embedder: Embedder, reranker: Reranker | None) -> list[str]:
    if query.instruction is None:
        return []
    deaf = [engine.name for engine in (embedder, reranker) if engine is not None and not engine.follows_instructions]
    return [f"{' and '.join(deaf)} cannot follow the instruction {query.instruction!r}"] if deaf else []


def _cut_notes(reranker: Reranker | None, hits: Sequence[Hit]) -> list[str]:
    if not isinstance(reranker, CuttingReranker):
        return []
    cut = reranker.count_cut([hit.chunk.passage for hit in hits])
    return [f"{cut} of {len(hits)} passages were longer than the reranker reads and were cut"] if cut else []


class _Asked(NamedTuple):
    """One request. allowed: the chunks that its filters leave, None for all."""

    query: Query
    options: SearchOptions
    allowed: NDArray[np.int64] | None

    @property
    def depth(self) -> int:
        """Rows asked of each first-stage list."""
        return max(DEPTH, self.options.candidates)


class _Timed(NamedTuple):
    """A ranking, and how long it took; None: it was not asked for."""

    ranking: Ranking
    ms: float | None
