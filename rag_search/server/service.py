"""Search, score and embed for the routes; requests that arrive together share model calls."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from rag_search.config import ServerSettings
from rag_search.errors import ConfigError
from rag_search.records import FloatMatrix, FloatVector, SearchOptions, SearchResult
from rag_search.rerank.base import PairRequest, Reranker, score_all
from rag_search.server.batching import Batcher, Limits
from rag_search.server.errors import TooManyPassagesError
from rag_search.server.live_searcher import LiveSearcher, Request
from rag_search.text.query import parse_query

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts to embed, all of them queries or all of them passages."""

    texts: Sequence[str]
    as_query: bool
    instruction: str | None = None


class Service:
    """Batches concurrent requests and checks their limits."""

    def __init__(self, live_searcher: LiveSearcher, settings: ServerSettings) -> None:
        self.live_searcher = live_searcher
        self.settings = settings
        workers = settings.workers or (1 if live_searcher.single_threaded else _cores())
        max_batch = settings.max_batch or live_searcher.default_batch_size
        limits = Limits(workers, max_batch, settings.max_queue, settings.queue_timeout_s)
        self.searches: Batcher[Request, SearchResult] = Batcher(live_searcher.answers, limits)
        self.scores: Batcher[Sequence[PairRequest], list[FloatVector]] = Batcher(self._score, limits)
        self.embeddings: Batcher[Texts, list[FloatVector]] = Batcher(self._embed, limits)

    @property
    def batchers(self) -> dict[str, Batcher[object, object]]:
        """The batchers by the name that metrics use."""
        return {"search": self.searches, "rerank": self.scores, "embed": self.embeddings}  # type: ignore[dict-item]

    async def search(self, raw: str, options: SearchOptions) -> SearchResult:
        """Answer one query. Raises InputError before it joins a batch."""
        parse_query(raw, instruction=options.instruction)
        return await self.searches.submit((raw, options))

    async def score(self, raw: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return the scores (len(passages),). An instruction in brackets at the head of the query is recognised."""
        return (await self.score_lists([(raw, passages)], instruction=instruction))[0]

    async def score_lists(
        self, pairs: Sequence[tuple[str, Sequence[str]]], *, instruction: str | None = None
    ) -> list[FloatVector]:
        """Score the passages of several queries in one pass."""
        self.check_passages([text for _, passages in pairs for text in passages])
        queries = [parse_query(raw, instruction=instruction) for raw, _ in pairs]
        return await self.scores.submit(
            [PairRequest(q.text, p, q.instruction) for q, (_, p) in zip(queries, pairs, strict=True)]
        )

    async def embed(self, texts: Texts) -> list[FloatVector]:
        """Return one unit vector per text."""
        self.check_passages(texts.texts)
        return await self.embeddings.submit(texts) if texts.texts else []

    def check_passages(self, passages: Sequence[str]) -> None:
        """Raise TooManyPassagesError beyond the limits of number and length."""
        if len(passages) > self.settings.max_passages:
            raise TooManyPassagesError(
                f"{len(passages)} passages; the limit is {self.settings.max_passages}.",
                remedy="Send fewer at a time, or raise server.max_passages.",
            )
        longest = max((len(passage) for passage in passages), default=0)
        if longest > self.settings.max_passage_chars:
            raise TooManyPassagesError(
                f"a passage has {longest:,} characters; the limit is {self.settings.max_passage_chars:,}.",
                remedy="Send it in parts, or raise server.max_passage_chars.",
            )

    async def close(self) -> None:
        """Answer the waiting requests, then close the index."""
        for batcher in self.batchers.values():
            await batcher.close()
        self.live_searcher.close()

    @property
    def reranker(self) -> Reranker:
        """The reranker. Raises ConfigError if it is switched off."""
        if self.live_searcher.reranker is None:
            raise ConfigError("the reranker is switched off.", remedy="Set reranker.backend and restart the server.")
        return self.live_searcher.reranker

    def _score(self, requests: Sequence[Sequence[PairRequest]]) -> Iterator[list[FloatVector]]:
        for part in self._bounded(requests, [sum(len(pair.passages) for pair in request) for request in requests]):
            pairs = [pair for request in part for pair in request if pair.passages]
            with self.live_searcher.model_lock():
                scores = iter(score_all(self.reranker, pairs) if pairs else ())
            none = np.empty(0, np.float32)
            yield from ([next(scores) if pair.passages else none for pair in request] for request in part)

    def _embed(self, requests: Sequence[Texts]) -> Iterator[list[FloatVector]]:
        for part in self._bounded(requests, [len(request.texts) for request in requests]):
            yield from self._embed_together(part)

    def _embed_together(self, requests: Sequence[Texts]) -> list[list[FloatVector]]:
        """Embed all passages in one pass, and all queries with the same instruction in one pass."""
        groups: dict[tuple[bool, str | None], list[int]] = {}
        for number, request in enumerate(requests):
            groups.setdefault((request.as_query, request.instruction if request.as_query else None), []).append(number)
        vectors: list[list[FloatVector]] = [[] for _ in requests]
        for (as_query, instruction), numbers in groups.items():
            texts = [text for number in numbers for text in requests[number].texts]
            rows = iter(self._vectors(texts, as_query=as_query, instruction=instruction))
            for number in numbers:
                vectors[number] = [next(rows) for _ in requests[number].texts]
        return vectors

    def _bounded(self, requests: Sequence[Item], sizes: Sequence[int]) -> Iterator[list[Item]]:
        """Split requests into parts with at most as many texts as one request may have, which bounds the memory."""
        part: list[Item] = []
        room = self.settings.max_passages
        for request, size in zip(requests, sizes, strict=True):
            if part and size > room:
                yield part
                part, room = [], self.settings.max_passages
            part.append(request)
            room -= size
        yield part

    def _vectors(self, texts: Sequence[str], *, as_query: bool, instruction: str | None) -> FloatMatrix:
        embedder = self.live_searcher.embedder
        with self.live_searcher.model_lock():
            if as_query:
                return embedder.encode_queries(texts, instruction=instruction).vectors
            return embedder.encode_documents(texts).vectors


def _cores() -> int:
    """Return the number of cores that this process may use; all cores where the system does not tell (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
