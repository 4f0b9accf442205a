"""What the page answers, over the real Service and a small real index; no browser and no Gradio."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from rag_search.config import load_config
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.service import Service
from rag_search.server.ui import handlers
from tests.server.conftest import folder, write_index
from tests.support.fakes import OverlapReranker, WordEmbedder
from tests.ui.html_check import visible_text

__all__ = ["folder"]

Ask = Callable[[Callable[[Service], Coroutine[Any, Any, str]]], str]


@pytest.fixture
def ask(tmp_path: Path, folder: Path) -> Ask:
    """ask(lambda service: ...) -> what the page would show."""
    config = load_config({"cache_dir": str(tmp_path / "cache"), "server.max_passages": 3}, cwd=tmp_path)
    write_index(config, folder, WordEmbedder())

    def call(work: Callable[[Service], Coroutine[Any, Any, str]]) -> str:
        async def run() -> str:
            service = Service(LiveSearcher(config, WordEmbedder(), OverlapReranker(cutoff=0.2)), config.settings.server)
            try:
                return await handlers.html_or_error(work(service))
            finally:
                await service.close()

        return asyncio.run(run())

    return call


def search(
    query: str, *, instruction: str = "", top_k: float | None = 5, paths: str = "", where: str = "", since: str = ""
) -> Any:
    return lambda service: handlers.search(service, query, instruction, top_k, paths, where, since)


def test_search_ranks_as_the_api_does(ask: Ask) -> None:
    text = visible_text(ask(search("redis connection timeout", top_k=1)))
    assert "Redis" in text
    assert "1.000" in text
    assert "redis.md:3" in text
    assert "backup.md" not in text


def test_filters_and_instruction_reach_the_search(ask: Ask) -> None:
    assert "backup.md" not in visible_text(ask(search("[every night] redis", paths="docs/redis.md\n\n")))
    assert "No confident match" in visible_text(ask(search("redis", where="category=none")))
    assert "No confident match" in visible_text(ask(search("redis", since="2999-01-01")))
    assert "instruction: night" in visible_text(ask(search("redis", instruction=" night ")))


def test_a_number_that_was_cleared_is_that_of_the_settings(ask: Ask) -> None:
    text = visible_text(ask(search("redis pg_dump", top_k=None)))
    assert "redis.md" in text
    assert "backup.md" in text


def test_a_query_that_nothing_answers(ask: Ask) -> None:
    assert "No confident match" in visible_text(ask(search("sourdough bread")))


@pytest.mark.parametrize(
    ("work", "said"),
    [
        (search("  "), "The query is empty."),
        (search("[only this]"), "The query is empty after its instruction [only this]."),
        (search("x" * 20_001), "The query has 20,001 characters"),
        (search("redis", where="novalue"), "'novalue' is not KEY=VALUE."),
        (search("redis", since="yesterday"), "Since: "),
        (search("redis", top_k=0), "Top_k: "),
        (search("redis", top_k=2.5), "Top_k: "),
        (lambda service: handlers.rerank(service, "redis", " \n \n "), "There are no passages."),
        (lambda service: handlers.rerank(service, "", "x"), "The query is empty."),
        (lambda service: handlers.rerank(service, "x", "a\n\nb\n\nc\n\nd"), "4 passages; the limit is 3."),
        (
            lambda service: handlers.document(service, {"document": "../pyproject.toml", "first": 1, "last": 1}),
            "not in",
        ),
        (lambda service: handlers.document(service, {"document": "/etc/passwd", "first": 1, "last": 1}), "not in"),
        (lambda service: handlers.document(service, {"document": "x", "first": "x"}), "not a place in a document"),
        (lambda service: handlers.document(service, None), "not a place in a document"),
        (lambda service: handlers.search(service, "x", None, 5, "", "", ""), "An internal error (AttributeError)."),  # type: ignore[arg-type]
    ],
)
def test_every_failure_is_one_message(ask: Ask, work: Any, said: str) -> None:
    html = ask(work)
    assert html.count('role="alert"') == 1
    assert said in visible_text(html)


def test_rerank_splits_scores_and_orders(ask: Ask) -> None:
    text = visible_text(
        ask(lambda service: handlers.rerank(service, "redis timeout", "rain\n\nredis timeout\n \nredis\n"))
    )
    assert re.findall(r"(\d)passage (\d)(\d\.\d+)", text) == [
        ("1", "2", "1.000"),
        ("2", "3", "0.500"),
        ("3", "1", "0.000"),
    ]


def test_the_bracketed_instruction_counts_in_the_sandbox(ask: Ask) -> None:
    text = visible_text(ask(lambda service: handlers.rerank(service, "[rain] redis", "rain\n\nwind")))
    assert re.findall(r"passage (\d)(\d\.\d+)", text) == [("1", "0.500"), ("2", "0.000")]
    assert "instruction: rain" in text


def test_a_document_opens_at_its_lines(ask: Ask) -> None:
    html = ask(lambda service: handlers.document(service, {"document": "docs/redis.md", "first": 3, "last": "3"}))
    assert '<section class="found"><p>Redis connection timeout' in html
    assert "docs/redis.md:3" in visible_text(html)


def test_the_head_says_what_is_indexed(ask: Ask) -> None:
    assert "2 documents · 2 passages · words · overlap" in visible_text(ask(handlers.head))


def test_without_an_index_the_head_says_what_to_do(tmp_path: Path) -> None:
    config = load_config({"index": str(tmp_path / "none"), "cache_dir": str(tmp_path)}, cwd=tmp_path)
    service = Service(LiveSearcher(config, WordEmbedder(), OverlapReranker()), config.settings.server)
    assert "ragsearch ingest" in asyncio.run(handlers.head(service))
