"""What the page asks for: typed text in, HTML out. Everything goes through the Service, as requests to the API do."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from rag_search.engines.base_folder import base_folder
from rag_search.errors import InputError, RagSearchError
from rag_search.render.paths import Places
from rag_search.rerank.base import CuttingReranker, Reranker
from rag_search.rerank.rank import order_passages
from rag_search.server.schemas.requests import SearchRequest
from rag_search.server.service import Service
from rag_search.server.ui import results
from rag_search.server.ui.document import document_html
from rag_search.text.query import parse_query, parse_where, split_passages

LOGGER = logging.getLogger(__name__)


async def told(work: Awaitable[str]) -> str:
    """The HTML of `work`, or the one message that says why there is none."""
    try:
        return await work
    except RagSearchError as error:
        return results.error_html(error.message, error.remedy)
    except Exception as error:
        LOGGER.warning("the page failed", exc_info=error)
        return results.error_html(f"an internal error ({type(error).__name__}).")


async def search(
    service: Service, query: str, instruction: str, top_k: float | None, paths: str, where: str, since: str
) -> str:
    """Hits of a question. top_k: None takes the settings'. paths and where: one condition a line. Raises InputError."""
    parse_query(query)
    try:
        form = SearchRequest.model_validate(
            {
                "query": "",
                "top_k": top_k,
                "instruction": instruction.strip() or None,
                "paths": _lines(paths),
                "where": parse_where(_lines(where)),
                "since": since.strip() or None,
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"{problem['loc'][-1]}: {problem['msg']}.") from error
    result = await service.search(query, form.options(service.engine.config.settings.search.options))
    return await run_in_threadpool(results.search_html, result, _places(service))


async def rerank(service: Service, raw: str, text: str) -> str:
    """Scores of the passages in `text`. Raises InputError."""
    query, passages = parse_query(raw), split_passages(text)
    if not passages:
        raise InputError("there are no passages.", remedy="Separate passages by blank lines.")
    start = time.perf_counter()
    scores = await service.score(raw, passages)
    facts = [f"{(time.perf_counter() - start) * 1000:.1f} ms", service.reranker.name]
    facts += [f"instruction: {query.instruction}"] if query.instruction else []

    def render() -> str:
        notes = _notes(service.reranker, passages, query.instruction)
        return results.passages_html(order_passages(scores, passages), query.text, facts=facts, notes=notes)

    return await run_in_threadpool(render)


async def document(service: Service, asked: Any) -> str:
    """A document of the index. asked: `document`, `first` and last line, as the click on a result sends them."""
    try:
        path, first, last = str(asked["document"]), int(asked["first"]), int(asked["last"])
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise InputError("that is no place in a document.") from error

    def render() -> str:
        with service.engine.reader() as reader:
            found = reader.document(path)
        return document_html(found, _places(service).shown(path), first, last)

    return await run_in_threadpool(render)


async def head(service: Service) -> str:
    """The head of the page: what is indexed and who answers, or what to do about it."""
    try:
        status = results.status_html(await run_in_threadpool(service.engine.status))
    except RagSearchError as error:
        status = results.safe(f"{error.message} {error.remedy}")
    return results.head_html(status)


def _notes(reranker: Reranker, passages: list[str], instruction: str | None) -> list[str]:
    notes = []
    if instruction and not reranker.follows_instructions:
        notes.append(f"{reranker.name} cannot follow the instruction {instruction!r}")
    if isinstance(reranker, CuttingReranker) and (cut := reranker.count_cut(passages)):
        notes.append(f"{cut} of {len(passages)} passages were longer than the reranker reads and were cut")
    return notes


def _places(service: Service) -> Places:
    return Places(base_folder(service.engine.config), Path.cwd())


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]
