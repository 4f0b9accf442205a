"""The real engine: questions that share calls get the same answers, to the last bit, as questions asked alone."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from rag_search.config import load_config
from rag_search.engines.open import writing
from rag_search.ingest import IngestOptions, sync_folders
from rag_search.records import Hit, SearchOptions, SearchResult
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.service import Service
from tests.support.project import model_cache

__all__ = ["model_cache"]  # a fixture
DOCUMENTS = Path(__file__).parents[2] / "corpus" / "docs" / "troubleshooting" / "redis"
OPTIONS = [SearchOptions(min_score=0), SearchOptions(candidates=20, min_score=0), SearchOptions(paths=("*oom*",))]


@pytest.mark.slow
@pytest.mark.parametrize("max_batch", [1, 8])
def test_concurrent_and_single_questions_have_the_same_answers(
    tmp_path: Path, model_cache: Path, max_batch: int
) -> None:
    (tmp_path / "ragsearch.toml").write_text("", "utf-8")
    flags = {"cache_dir": str(model_cache), "server.workers": 2, "server.max_batch": max_batch}
    config = load_config(flags, cwd=tmp_path)
    first = LiveSearcher.load(config)
    with writing(config, first.embedder) as writer:
        sync_folders(writer, first.embedder, [DOCUMENTS], base=tmp_path, options=IngestOptions(256, 2**20))
    with first.reader() as reader:
        lines = [line.strip()[:90] for path in reader.documents() for line in reader.document(path).text.split("\n")]
    asked = [(line, OPTIONS[n % len(OPTIONS)]) for n, line in enumerate(lines) if len(line) > 20][:150]
    assert len(asked) == 150
    service = Service(first, config.settings.server)
    together = asyncio.run(ask_at_once(service, asked))
    assert service.searches.batches == len(asked) if max_batch == 1 else service.searches.batches < len(asked) / 2
    alone = LiveSearcher.load(config)  # with no kept query vectors
    for question, result in zip(asked, together, strict=True):
        assert content(result) == content(alone.search_many([question])[0])
    alone.close()


async def ask_at_once(service: Service, asked: list[tuple[str, SearchOptions]]) -> list[SearchResult]:
    results = await asyncio.gather(*(service.search(*question) for question in asked))
    await service.close()
    return results


def content(result: SearchResult) -> tuple[tuple[Hit, ...], bool, tuple[str, ...]]:
    return result.hits, result.confident, result.notes
