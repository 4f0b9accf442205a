"""One query from text to ranked hits: parse, retrieve, rerank, group.

"[面向新手] 如何解决Redis连接超时"
  -> instruction "面向新手" and text
  -> dense top 100 and BM25 top 100 -> fused -> 50 candidates (rag_search.search.retrieval)
  -> the reranker scores 50 passages -> its score decides the order -> 5 hits, best chunk of each document first
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from rag_search.embed.base import Embedder
from rag_search.index.base import SearchStore
from rag_search.records import EngineNames, FloatVector, Hit, SearchOptions, SearchResult
from rag_search.rerank.base import (
    PairRequest,
    Reranker,
    TokenVectorReranker,
    TruncatingReranker,
    check_scores,
    score_all,
)
from rag_search.search.base import Candidates, Request
from rag_search.search.corrections import corrected, find_corrections
from rag_search.search.hits import (
    filter_note,
    group_by_document,
    instruction_notes,
    lift_evidence,
    merge_copies,
    order_hits,
    pending_note,
    preference_note,
    truncation_notes,
)
from rag_search.search.retrieval import Retriever
from rag_search.search.sentences import best_sentences, rarity
from rag_search.text.query import parse_query
from rag_search.text.terms import terms

NEAR_MISSES = 3  # hits that a result without a confident match still holds
SENTENCE_CHARS = 2000  # of a query, whose terms choose the best sentence
PER_CALL = 32  # queries whose candidates are scored in one call of a reranker that reads passages


@dataclass(frozen=True)
class Searcher:
    """The two stages over one index.

    reranker: None leaves the order to stage one. defaults: options of a query that brings none.
    """

    index: SearchStore
    embedder: Embedder
    reranker: Reranker | None = None
    defaults: SearchOptions = field(default_factory=SearchOptions)

    def __post_init__(self) -> None:
        self.index.encode_with(self.embedder.encode_documents)

    def search(self, raw: str, options: SearchOptions | None = None) -> SearchResult:
        """Answer one query.

        Raises InputError for a query with nothing to search, EngineError when an engine fails.
        """
        (result,) = self.search_many([(raw, options or self.defaults)])
        return result

    def search_many(self, requests: Sequence[tuple[str, SearchOptions]]) -> list[SearchResult]:
        """Answer several queries, each with its options, in order; the results are those of one by one."""
        return list(self.answers(requests))

    def answers(self, requests: Sequence[tuple[str, SearchOptions]]) -> Iterator[SearchResult]:
        """Answer as `search_many`, and yield each result as soon as it is ready.

        A reranker that reads passages gets those of PER_CALL queries in one call.
        """
        parsed = [self._parse(raw, options) for raw, options in requests]
        with closing(self._retriever.retrieve(parsed)) as retrieved:
            while group := list(islice(retrieved, PER_CALL if self._reads_passages else 1)):
                yield from self._rank(group)

    @property
    def _reads_passages(self) -> bool:
        return self.reranker is not None and self._token_reranker is None

    @cached_property
    def _retriever(self) -> Retriever:
        return Retriever(self.index, self.embedder, comparable=self._token_reranker is not None)

    @cached_property  # isinstance with a protocol takes 50 microseconds
    def _token_reranker(self) -> TokenVectorReranker | None:
        """The reranker, if it reads the token vectors of the index and no passages."""
        return self.reranker if isinstance(self.reranker, TokenVectorReranker) and self.embedder.token_dim else None

    @cached_property
    def _truncating(self) -> TruncatingReranker | None:
        return self.reranker if isinstance(self.reranker, TruncatingReranker) else None

    def _parse(self, raw: str, options: SearchOptions) -> Request:
        query = parse_query(raw, instruction=options.instruction)
        allowed = self.index.select(path_glob=options.paths, where=options.where, since=options.since)
        if options.system in ("bm25", "dense") or not self.embedder.token_dim:
            return Request(query, options, allowed, query.text)
        corrections = find_corrections(self.index, query.text, count_tokens=self.embedder.count_tokens)
        return Request(query, options, allowed, corrected(query.text, corrections))

    def _rank(self, group: Sequence[Candidates]) -> Iterator[SearchResult]:
        """Yield the results of some requests whose candidates are scored together."""
        scored = [number for number, each in enumerate(group) if each.hits and self._reranker_of(each.request)]
        start = time.perf_counter()
        scores = dict(zip(scored, self._scores([group[number] for number in scored]), strict=True))
        rerank_ms = (time.perf_counter() - start) * 1000
        for number, candidates in enumerate(group):
            hits = candidates.hits
            if number in scores:
                candidates.clock.note("rerank", rerank_ms)
                hits = order_hits(hits, scores[number])
                hits = hits if self._token_reranker else lift_evidence(hits)
            if candidates.request.allowed is not None:
                ids = [hit.chunk.chunk_id for hit in hits]
                inside = set(self.index.within(ids, candidates.request.allowed))
                hits = [hit for hit in hits if hit.chunk.chunk_id in inside]
            if candidates.request.options.group:
                hits = group_by_document(merge_copies(hits), shown=candidates.request.options.top_k)
            yield self._result(candidates, hits)

    def _scores(self, group: Sequence[Candidates]) -> list[FloatVector]:
        """Return the reranker's scores of each query's candidates."""
        if not group or self.reranker is None:
            return []
        if self._token_reranker is not None:
            return [self._score_tokens(self._token_reranker, each) for each in group]
        pairs = [(each.request.query, [hit.chunk.passage for hit in each.hits]) for each in group]
        return score_all(self.reranker, [PairRequest(q.text, passages, q.instruction) for q, passages in pairs])

    def _score_tokens(self, reranker: TokenVectorReranker, candidates: Candidates) -> FloatVector:
        if candidates.query is None:
            raise TypeError("a query that is reranked was not encoded")
        tokens = self.index.token_vectors([hit.chunk.chunk_id for hit in candidates.hits])
        scores = reranker.score_token_vectors(
            candidates.query,
            candidates.hits,
            tokens,
            reference=candidates.reference,
            preferences=self._preferences(candidates),
        )
        check_scores(scores, len(candidates.hits), reranker.name)
        return scores

    def _preferences(self, candidates: Candidates) -> FloatVector | None:
        """Return how far each candidate meets the instruction; None without one, or if the embedder follows it."""
        instruction = candidates.request.query.instruction
        if instruction is None or self.embedder.follows_instructions:
            return None
        from rag_search.search.instructions import preferences  # as in rag_search.search.hits

        ids = [hit.chunk.chunk_id for hit in candidates.hits]
        (vector,) = self.embedder.encode_queries([instruction]).vectors
        return preferences(instruction, candidates.hits, self.index.facts(ids), self.index.vectors(ids) @ vector)

    def _reranker_of(self, request: Request) -> Reranker | None:
        return self.reranker if request.options.system == "rerank" else None

    def _result(self, candidates: Candidates, hits: list[Hit]) -> SearchResult:
        request = candidates.request
        query, options, reranker = request.query, request.options, self._reranker_of(request)
        threshold = reranker.threshold if reranker else None
        confident = bool(hits) and (threshold is None or hits[0].score >= threshold)
        near_misses: list[Hit] = []
        found = hits
        if options.min_score is not None:
            hits = [hit for hit in hits if hit.score >= options.min_score]
            confident = bool(hits)
        elif not confident:
            hits, near_misses = [], hits[:NEAR_MISSES] if options.below_threshold != "none" else []
        elif threshold is not None and options.below_threshold != "all":
            hits = [hit for hit in hits if hit.score >= threshold]
        return SearchResult(
            query=query.text,
            instruction=query.instruction,
            hits=self._shown(candidates, hits[: options.top_k]),
            engine=EngineNames(self.embedder.name, reranker.name if reranker else None, self.index.kind),
            timings_ms=candidates.clock.finish(),
            confident=confident,
            threshold=threshold,
            near_misses=self._shown(candidates, near_misses),
            notes=tuple(self._notes(candidates, found)),
        )

    def _notes(self, candidates: Candidates, hits: Sequence[Hit]) -> list[str]:
        query, reranker = candidates.request.query, self._reranker_of(candidates.request)
        if query.instruction is not None and reranker is self._token_reranker and reranker is not None:
            notes = [preference_note(query.instruction, is_bracketed=query.is_bracketed)]
        else:
            notes = instruction_notes(query, self.embedder, reranker)
        if candidates.request.text != query.text:
            notes.append(f"searched for {candidates.request.text!r}: the index does not have what was typed")
        if self._truncating is not None and reranker is not None:
            notes += truncation_notes(self._truncating, [hit.chunk.passage for hit in hits])
        if self.index.pending_count:
            notes.append(pending_note(self.index.pending_count, self.index.chunk_count))
        if candidates.request.allowed is not None and not hits:
            notes.insert(0, filter_note(candidates.request.options, self.index.counts.documents))
        return notes

    def _shown(self, candidates: Candidates, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """Return hits with ranks from 1 and their best sentences."""
        if not hits:
            return ()
        asked = terms(candidates.request.text[:SENTENCE_CHARS])
        weights = rarity(self.index.term_counts(asked), self.index.chunk_count)
        tokens = None
        if self._token_reranker is not None:
            tokens = self.index.token_vectors([hit.chunk.chunk_id for hit in hits])
        best = best_sentences(hits, candidates.query, tokens, weights)
        return tuple(
            replace(hit, rank=rank, sentence=found.text if found else "", line_best=found.line if found else 0)
            for rank, (hit, found) in enumerate(zip(hits, best, strict=True), 1)
        )
