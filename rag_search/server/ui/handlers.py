"""Handlers of the page: text in, HTML out. All of them use the Service, as the routes do."""

from __future__ import annotations

import logging
import posixpath
import time
from collections import Counter
from collections.abc import Awaitable
from typing import Any

from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from rag_search.errors import InputError, RagSearchError
from rag_search.rerank.base import TruncatingReranker
from rag_search.rerank.rank import order_passages
from rag_search.search.hits import instruction_notes, truncation_notes
from rag_search.server.schemas.requests import SearchRequest
from rag_search.server.service import Service
from rag_search.server.ui import results
from rag_search.server.ui.document import document_html
from rag_search.text.query import parse_query, parse_where, split_passages

EXAMPLES, FOLDERS = 4, 12  # on the empty page
LOGGER = logging.getLogger(__name__)


async def html_or_error(work: Awaitable[str]) -> str:
    """Return the HTML of `work`, or an error message as HTML."""
    try:
        return await work
    except RagSearchError as error:
        return results.error_html(error.message, error.remedy)
    except Exception as error:
        LOGGER.warning("the page failed", exc_info=error)
        return results.error_html(f"an internal error ({type(error).__name__}).")


async def search(
    service: Service, query: str, instruction: str, top_k: float | None, paths: str, where: str, since: str | None
) -> str:
    """Return the hits of a question.

    top_k: None takes that of the settings. paths, where: one condition per line. Raises InputError.
    """
    parse_query(query)
    try:
        form = SearchRequest.model_validate(
            {
                "query": "",
                "top_k": top_k,
                "instruction": instruction.strip() or None,
                "paths": _lines(paths),
                "where": parse_where(_lines(where)),
                "since": (since or "").strip() or None,
            }
        )
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"{problem['loc'][-1]}: {problem['msg']}.") from error
    result = await service.search(query, form.options(service.live_searcher.config.settings.search.options))
    return await run_in_threadpool(results.search_html, result, service.live_searcher.mapper, editor=_editor(service))


async def rerank(service: Service, raw: str, text: str) -> str:
    """Return the scores of the passages in `text`. Raises InputError."""
    query, passages = parse_query(raw), split_passages(text)
    if not passages:
        raise InputError("there are no passages.", remedy="Separate passages by blank lines.")
    start = time.perf_counter()
    scores = await service.score(raw, passages)
    facts = [f"{(time.perf_counter() - start) * 1000:.1f} ms", service.reranker.name]
    facts += [f"instruction: {query.instruction}"] if query.instruction else []

    def render() -> str:
        notes = instruction_notes(query, service.reranker)
        if isinstance(service.reranker, TruncatingReranker):
            notes += truncation_notes(service.reranker, passages)
        return results.passages_html(order_passages(scores, passages), query.text, facts=facts, notes=notes)

    return await run_in_threadpool(render)


async def document(service: Service, place: Any) -> str:
    """Return a document of the index.

    place: `document`, `first` and `last` line, from the click on a result. Raises InputError.
    """
    try:
        path, first, last = str(place["document"]), int(place["first"]), int(place["last"])
    except (TypeError, KeyError, ValueError, OverflowError) as error:
        raise InputError("that is not a place in a document.") from error

    def render() -> str:
        with service.live_searcher.reader() as reader:
            indexed = reader.document(path)
        return document_html(indexed, service.live_searcher.mapper.printed(path), first, last)

    return await run_in_threadpool(render)


async def start(service: Service) -> str:
    """Return what the page shows before the first question: examples from the index, and its folders."""

    def render() -> str:
        with service.live_searcher.reader() as reader:
            paths = reader.documents()
            step = max(1, len(paths) // EXAMPLES)
            titles = [reader.document(path).title for path in paths[step // 2 :: step][:EXAMPLES]]
        folders = Counter(map(posixpath.dirname, paths))  # as the field `paths` takes them
        largest = {path: count for path, count in folders.most_common(FOLDERS) if path}
        return results.start_html(list(dict.fromkeys(titles)), dict(sorted(largest.items())))

    return await run_in_threadpool(render)


async def head(service: Service) -> str:
    """Return the head of the page: the index and the models, or an error message."""
    try:
        status = results.status_html(await run_in_threadpool(service.live_searcher.status))
    except RagSearchError as error:
        status = results.safe(f"{error.message} {error.remedy}")
    return results.head_html(status)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _editor(service: Service) -> str:
    """Return the form of editor addresses. A page cannot open file://, the default of the command line."""
    form = service.live_searcher.config.settings.cli.links
    return "vscode" if form == "file" else form
