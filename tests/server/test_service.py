"""Requests that share a model call get what they would get alone; models that bear no threads are never called twice
at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi")

from rag_search.config import load_config
from rag_search.engines.open import writing
from rag_search.ingest import sync_folders
from rag_search.records import Encoded, EncodedQueries, FloatVector, SearchOptions
from rag_search.rerank.base import PairRequest
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.service import Service, Texts
from tests.server.conftest import write_index
from tests.support.fakes import OverlapReranker, WordEmbedder, word_vector

WORDS = ("redis", "timeout", "weather", "kafka", "zebra", "lag")


@dataclass(frozen=True)
class Model:
    """Counts calls; more than one at a time is an error. The first lasts until others wait."""

    calls: list[int] = field(default_factory=list)
    busy: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def call(self, size: int) -> Iterator[None]:
        self.calls.append(size)
        assert self.busy.acquire(blocking=False), "two calls at the same time"
        time.sleep(0.05 if len(self.calls) == 1 else 0.001)
        yield
        self.busy.release()


@dataclass(frozen=True)
class CountedEmbedder(WordEmbedder):
    model_calls: Model = field(default_factory=Model)

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        with self.model_calls.call(len(passages)):
            return super().encode_documents(passages)

    def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:
        with self.model_calls.call(len(queries)):
            return WordEmbedder().encode_queries(queries)


@dataclass(frozen=True)
class CountedReranker(OverlapReranker):
    model_calls: Model = field(default_factory=Model)

    def score_many(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        with self.model_calls.call(sum(len(request.passages) for request in requests)):
            return [self.score(r.query, r.passages, instruction=r.instruction) for r in requests]


def service(tmp_path: Path, folder: Path, model: Model, **flags: Any) -> Service:
    config = load_config({name.replace("__", "."): value for name, value in flags.items()}, cwd=tmp_path)
    write_index(config, folder, WordEmbedder())
    engine = LiveSearcher(config, CountedEmbedder(model_calls=model), CountedReranker(model_calls=model))
    return Service(engine, config.settings.server)


async def ask_everything(asked: Service) -> list[Any]:
    """Twelve of each kind at the same time."""
    pairs = [(word, [f"{word} first", "nothing", f"{other} {word}"]) for word in WORDS for other in WORDS[:2]]
    answers = await asyncio.gather(
        *(asked.search(f"{word} {other}", SearchOptions(min_score=0)) for word in WORDS for other in WORDS[:2]),
        *(asked.score(query, passages) for query, passages in pairs),
        *(asked.embed(Texts([f"{word} a", "b"], as_query, None)) for word in WORDS for as_query in (True, False)),
    )
    await asked.close()
    return answers


@pytest.mark.parametrize("limit", [1000, 4])  # passages in one call
def test_answers_of_a_shared_call_are_those_of_a_call_alone(tmp_path: Path, folder: Path, limit: int) -> None:
    model, single = Model(), Model()
    flags = {"server__workers": 1, "server__max_passages": limit, "embedder__backend": "sentence-transformers"}
    flags["reranker__backend"] = "cross-encoder"
    together = asyncio.run(ask_everything(service(tmp_path, folder, model, **flags)))
    alone = asyncio.run(ask_everything(service(tmp_path, folder, single, **flags, server__max_batch=1)))
    assert len(model.calls) < len(single.calls)
    for one, other in zip(together[:12], alone[:12], strict=True):
        assert (one.hits, one.query) == (other.hits, other.query)
    for one, other in zip(together[12:], alone[12:], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(together[24][0], word_vector("redis a"))


@pytest.mark.parametrize("backends", [("sentence-transformers", "rerank-api"), ("openai", "vllm"), ("openai", "none")])
def test_models_in_process_are_called_one_at_a_time(tmp_path: Path, folder: Path, backends: tuple[str, str]) -> None:
    """Workers never call a model in this process twice at the same time."""
    names = {"embedder__backend": backends[0], "reranker__backend": backends[1]}
    asked = service(tmp_path, folder, Model(), **names, server__workers=4, server__max_batch=1)
    if backends[1] == "none":  # both behind URLs: calls may overlap, and do
        with pytest.raises(AssertionError, match="two calls"):
            asyncio.run(ask_everything(asked))
    else:
        assert len(asyncio.run(ask_everything(asked))) == 36


def test_paths_follow_the_base_of_the_newest_generation(tmp_path: Path, folder: Path) -> None:
    """Paths are shown from the base that the index recorded, and that is read again with each new generation."""
    config = load_config({"index": str(tmp_path / "elsewhere" / "index")}, cwd=tmp_path)
    live_searcher = LiveSearcher(config, WordEmbedder(), OverlapReranker())
    bases = []
    for name in ("one", "two"):
        with writing(config, WordEmbedder()) as writer:
            sync_folders(writer, WordEmbedder(), [folder], base=tmp_path / name)
        live_searcher.search_many([("redis", SearchOptions())])
        bases.append(live_searcher.mapper.base)
    live_searcher.close()
    assert bases == [tmp_path / "one", tmp_path / "two"]
