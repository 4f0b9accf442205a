"""What the routes call: the engine behind its batchers."""

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
from rag_search.server.live_searcher import Engine, Request
from rag_search.text.query import parse_query

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts to embed, all as queries or all as passages."""

    texts: Sequence[str]
    as_query: bool
    instruction: str | None = None


class Service:
    """Searches, scores and embeds; what arrives together is answered together."""

    def __init__(self, engine: Engine, settings: ServerSettings) -> None:
        self.engine = engine
        self.settings = settings
        workers = settings.workers or (1 if engine.one_at_a_time else _cores())
        limits = Limits(workers, settings.max_batch or engine.usual_batch, settings.max_queue, settings.queue_timeout_s)
        self.searches: Batcher[Request, SearchResult] = Batcher(engine.answers, limits)
        self.scores: Batcher[Sequence[PairRequest], list[FloatVector]] = Batcher(self._score, limits)
        self.embeddings: Batcher[Texts, list[FloatVector]] = Batcher(self._embed, limits)

    @property
    def batchers(self) -> dict[str, Batcher[object, object]]:
        """By the name that metrics use."""
        return {"search": self.searches, "rerank": self.scores, "embed": self.embeddings}  # type: ignore[dict-item]

    async def search(self, raw: str, options: SearchOptions) -> SearchResult:
        """One query. Raises InputError before it joins a batch."""
        parse_query(raw, instruction=options.instruction)
        return await self.searches.submit((raw, options))

    async def score(self, raw: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Scores (len(passages),); a bracketed instruction at the head of the query is taken off."""
        return (await self.score_lists([(raw, passages)], instruction=instruction))[0]

    async def score_lists(
        self, pairs: Sequence[tuple[str, Sequence[str]]], *, instruction: str | None = None
    ) -> list[FloatVector]:
        """Scores of each query's passages, all in one pass."""
        self.check_passages([text for _, passages in pairs for text in passages])
        queries = [parse_query(raw, instruction=instruction) for raw, _ in pairs]
        return await self.scores.submit(
            [PairRequest(q.text, p, q.instruction) for q, (_, p) in zip(queries, pairs, strict=True)]
        )

    async def embed(self, texts: Texts) -> list[FloatVector]:
        """One unit vector per text."""
        self.check_passages(texts.texts)
        return await self.embeddings.submit(texts) if texts.texts else []

    def check_passages(self, passages: Sequence[str]) -> None:
        """Raise TooManyPassagesError beyond the limits of number and length."""
        if len(passages) > self.settings.max_passages:
            raise TooManyPassagesError(f"{len(passages)} passages; the limit is {self.settings.max_passages}.")
        longest = max((len(passage) for passage in passages), default=0)
        if longest > self.settings.max_passage_chars:
            raise TooManyPassagesError(
                f"a passage has {longest:,} characters; the limit is {self.settings.max_passage_chars:,}."
            )

    async def close(self) -> None:
        """Answer what waits, then let go of the index."""
        for batcher in self.batchers.values():
            await batcher.close()
        self.engine.close()

    @property
    def reranker(self) -> Reranker:
        """Raises ConfigError when it is switched off."""
        if self.engine.reranker is None:
            raise ConfigError("the reranker is switched off.", remedy="Set reranker.backend and restart the server.")
        return self.engine.reranker

    def _score(self, requests: Sequence[Sequence[PairRequest]]) -> Iterator[list[FloatVector]]:
        for some in self._bounded(requests, [sum(len(pair.passages) for pair in request) for request in requests]):
            asked = [pair for request in some for pair in request if pair.passages]
            with self.engine.turn():
                scores = iter(score_all(self.reranker, asked) if asked else ())
            none = np.empty(0, np.float32)
            yield from ([next(scores) if pair.passages else none for pair in request] for request in some)

    def _embed(self, requests: Sequence[Texts]) -> Iterator[list[FloatVector]]:
        for some in self._bounded(requests, [len(request.texts) for request in requests]):
            yield from self._embed_together(some)

    def _embed_together(self, requests: Sequence[Texts]) -> list[list[FloatVector]]:
        """All passages in one pass, and all queries under the same instruction."""
        alike: dict[tuple[bool, str | None], list[int]] = {}
        for number, request in enumerate(requests):
            alike.setdefault((request.as_query, request.instruction if request.as_query else None), []).append(number)
        made: list[list[FloatVector]] = [[] for _ in requests]
        for (as_query, instruction), numbers in alike.items():
            texts = [text for number in numbers for text in requests[number].texts]
            rows = iter(self._vectors(texts, as_query=as_query, instruction=instruction))
            for number in numbers:
                made[number] = [next(rows) for _ in requests[number].texts]
        return made

    def _bounded(self, requests: Sequence[Item], sizes: Sequence[int]) -> Iterator[list[Item]]:
        """Requests whose texts together are no more than one request may have, so that memory has one bound."""
        some: list[Item] = []
        room = self.settings.max_passages
        for request, size in zip(requests, sizes, strict=True):
            if some and size > room:
                yield some
                some, room = [], self.settings.max_passages
            some.append(request)
            room -= size
        yield some

    def _vectors(self, texts: Sequence[str], *, as_query: bool, instruction: str | None) -> FloatMatrix:
        embedder = self.engine.embedder
        with self.engine.turn():
            if as_query:
                return embedder.embed_queries(texts, instruction=instruction)
            return embedder.encode_documents(texts).vectors


def _cores() -> int:
    """Cores that this process may use; all of them where the system does not tell (macOS)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
