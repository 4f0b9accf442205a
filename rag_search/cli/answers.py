"""Answer questions through a running server, else in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rag_search.cli.common import stderr_console
from rag_search.cli.terminal import SERVED, local_only
from rag_search.text.sanitize import plain

FEW_QUESTIONS = 10  # opening for few texts saves 50 ms and costs 3 ms a question

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.records import SearchOptions, SearchResult


def search_here(
    config: Config, questions: Sequence[str], options: SearchOptions, *, meanwhile: Callable[[], None]
) -> list[SearchResult]:
    """Search in this process.

    Args:
        config: settings of the index and the engines.
        questions: as typed; a leading [...] is an instruction.
        options: for every question.
        meanwhile: runs while the engine loads.
    """
    local_only()
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import make_searcher, reading
    from rag_search.search.freshness import mark_changed

    with reading(config) as reader:
        if not reader.counts.documents:
            index = plain(config.index_place)
            stderr_console().print(f"{index} has no documents yet. Run: ragsearch ingest PATH", soft_wrap=True)
        searcher = make_searcher(
            config.settings,
            reader,
            rerank=options.system == "rerank",
            use="few texts" if len(questions) <= FEW_QUESTIONS else "many texts",
            meanwhile=meanwhile,
        )
        base = base_folder(config)
        results = searcher.search_many([(question, options) for question in questions])
        return [mark_changed(result, reader, base) for result in results]


def ask_server(
    config: Config, questions: Sequence[str], options: SearchOptions, *, explain: bool
) -> list[SearchResult] | None:
    """Search through a running server of the same version, index and settings; None if there is none."""
    served = SERVED.get()
    reply = served.search(config, questions, options) if served else _search_by_server(config, questions, options)
    if reply is None:
        return None
    results, url = reply
    if explain:
        stderr_console().print(f"answered by the server at {plain(url)}")
    return results


def _search_by_server(
    config: Config, questions: Sequence[str], options: SearchOptions
) -> tuple[list[SearchResult], str] | None:
    """Return the results of a running server and its URL."""
    from rag_search.server.discovery import find_server

    if find_server(config) is None:
        if config.settings.cli.auto_serve:
            _start_server(config)
        return None
    from rag_search.server import client  # imports http.client, which a query without a server does not need

    try:
        reply = client.ask_server(config, questions, options)
    except client.OtherServerError as error:
        stderr_console().print(plain(error.message))
        return None
    return (reply[0], reply[1].url) if reply else None


def _start_server(config: Config) -> None:
    """Start a server for the next query; this one does not wait for it."""
    from rag_search.cli.daemon import start_daemon
    from rag_search.errors import ServerError

    profile = ["--profile", config.settings.profile] if config.settings.profile else []
    try:
        start_daemon(config, ["--port", "0", "--index", f"{config.index_dir}/", *profile], wait_s=0)
    except (ServerError, OSError) as error:
        stderr_console().print(f"the server could not be started: {plain(str(error))}", soft_wrap=True)
