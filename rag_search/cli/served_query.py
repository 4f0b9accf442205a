"""Run `ragsearch query` on a server and reply with what it prints: the other side of rag_search.server.thin_client."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

import typer
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from starlette.exceptions import HTTPException

from rag_search import __version__
from rag_search.cli.query import query
from rag_search.cli.terminal import SERVED, LocalOnlyError, Terminal
from rag_search.config import Config
from rag_search.errors import RagSearchError
from rag_search.records import SearchOptions, SearchResult
from rag_search.server.access import is_own_user
from rag_search.server.discovery import find_server, server_record
from rag_search.server.errors import OtherIndexError
from rag_search.server.service import Service
from rag_search.server.thin_client import EXIT_CODE, ROUTE, settings_environment

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]  # typer does not export it

Runner = Callable[[list[str], Terminal], int]


class PrintRequest(BaseModel):
    """What rag_search.server.thin_client sends. terminals: whether stdout and stderr are terminals."""

    model_config = ConfigDict(extra="forbid")

    version: str
    folder: str
    arguments: list[str]
    environment: dict[str, str]
    terminals: tuple[bool, bool]
    size: tuple[int, int] | None


class _Prints:
    """What was printed on the two streams, in order."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, str]] = []

    def framed(self) -> bytes:
        """Return the parts as `STREAM:BYTES`, a line feed, and the bytes."""
        encoded = [(stream, text.encode("utf-8")) for stream, text in self.parts]
        return b"".join(b"%d:%d\n%b" % (stream, len(content), content) for stream, content in encoded)


class _Stream(io.TextIOBase):
    """A stream of a client."""

    encoding = "utf-8"

    def __init__(self, number: int, prints: _Prints, *, terminal: bool) -> None:
        self._number = number
        self._prints = prints
        self._terminal = terminal

    def write(self, text: str) -> int:
        """Keep the text for the reply."""
        self._prints.parts.append((self._number, text))
        return len(text)

    def isatty(self) -> bool:
        """Return whether the client's stream is a terminal."""
        return self._terminal


def mount_served_query(app: FastAPI, service: Service) -> None:
    """Add the route to an application. It exists only for requests over the private socket."""
    served_config = service.live_searcher.config
    expected = server_record(served_config, "").expectation
    command = make_runner()

    async def answer(request: Request, body: PrintRequest) -> Response:
        if not is_own_user(request.scope):
            raise HTTPException(404, "Not Found")
        loop = asyncio.get_running_loop()

        def search(config: Config, questions: Sequence[str], options: SearchOptions) -> tuple[list[SearchResult], str]:
            record = find_server(served_config)  # its address is told, too
            if record is None or len(questions) > 1 or server_record(config, "").expectation != expected:
                raise LocalOnlyError
            return [asyncio.run_coroutine_threadsafe(service.search(questions[0], options), loop).result()], record.url

        prints = _Prints()
        try:
            code = await run_in_threadpool(_run, command, body, prints, search)
        except (LocalOnlyError, RagSearchError, OSError) as error:
            raise OtherIndexError("the command must run in its own process.") from error
        return Response(prints.framed(), headers={EXIT_CODE: str(code)}, media_type="application/octet-stream")

    app.add_api_route(ROUTE, answer, methods=["POST"], include_in_schema=False)


def make_runner() -> Runner:
    """Return a function that runs `ragsearch query ARGUMENTS` for a terminal and returns its exit code.

    It raises LocalOnlyError for arguments that the command refuses: the client's own process words the error.
    """
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    single.command(add_help_option=False)(query)  # help would be printed by this process
    command = typer.main.get_command(single)

    def run(arguments: list[str], terminal: Terminal) -> int:
        token = SERVED.set(terminal)
        try:
            code = command.main(arguments, prog_name="ragsearch query", standalone_mode=False)
        except (USAGE_ERROR, SystemExit) as error:
            raise LocalOnlyError from error
        finally:
            SERVED.reset(token)
        if code not in (0, 1):
            raise LocalOnlyError
        return int(code)

    return run


def _run(
    command: Runner,
    body: PrintRequest,
    prints: _Prints,
    search: Callable[[Config, Sequence[str], SearchOptions], tuple[list[SearchResult], str]],
) -> int:
    if body.version != __version__ or settings_environment(body.environment) != settings_environment(os.environ):
        raise LocalOnlyError
    environ = _with_size(body.environment, body.size)

    def console(stream: Any) -> Console:
        made = Console(file=stream, _environ=environ, highlight=False, emoji=False, markup=False)
        if made.is_dumb_terminal:  # rich takes its size from elsewhere
            raise LocalOnlyError
        return made

    out, err = (cast("TextIO", _Stream(n, prints, terminal=body.terminals[n - 1])) for n in (1, 2))
    return command(body.arguments, Terminal(Path(body.folder), out, err, console, search))


def _with_size(environ: Mapping[str, str], size: tuple[int, int] | None) -> dict[str, str]:
    """Return the environment with the size of the client's terminal, which rich would ask this process for."""
    columns, lines = size or (0, 0)
    sizes = {"COLUMNS": str(columns or 80), "LINES": str(lines or 25)}
    return {**environ, **{name: size for name, size in sizes.items() if not environ.get(name, "").isdigit()}}
