"""Serve the index to agents: an MCP server with the tools search, get_document, list_documents and status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Annotated, Any, cast

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import ToolAnnotations
from pydantic import BeforeValidator, Field

from rag_search import __version__
from rag_search.errors import InputError, RagSearchError
from rag_search.index import ReadStore
from rag_search.index.filters import unicode_forms
from rag_search.records import Document, SearchOptions
from rag_search.render.paths import PathMapper
from rag_search.server import mcp_text
from rag_search.server.app import make_rules
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.mcp_guard import UnicodeGuard, answer_invalid
from rag_search.server.middleware import App, Guard
from rag_search.server.run import listen, run_app
from rag_search.text.query import parse_where
from rag_search.text.sanitize import plain, visible

MAX_HITS = 100
MAX_LINES = 2000
READS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
TEXT: dict[str, Any] = {"annotations": READS_ONLY, "structured_output": False}  # structured output says all twice


def _number(description: str, maximum: int) -> Any:
    """Describe a number. The limits are checked below, because pydantic's own error is four lines long."""
    return Field(description=description, json_schema_extra={"minimum": 1, "maximum": maximum})


# An optional text is `str` with null as "", because mcp 2.3.0 reads an argument of any other type as JSON
# (FuncMetadata.pre_parse_json): of `str | None`, the text `null` becomes nothing and `["beginners"]` a refused list.
Text = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]
Paths = Annotated[list[str] | None, Field(description="only these paths, folders or patterns (docs/*)")]


def make_mcp(live_searcher: LiveSearcher) -> MCPServer[Any]:
    """Return the server with its tools. Failures become tool errors with a remedy, never protocol errors."""
    server: MCPServer[Any] = MCPServer("ragsearch", version=__version__, log_level="WARNING")
    defaults = live_searcher.config.settings.search.options
    default_hits = min(defaults.top_k, MAX_HITS)

    @server.tool(**TEXT)
    def search(
        query: Annotated[str, Field(description="a question or key words, in any language")],
        top_k: Annotated[int, _number("number of passages", MAX_HITS)] = default_hits,
        path: Paths = None,
        where: Annotated[list[str] | None, Field(description="only this front matter: key=value")] = None,
        since: Annotated[Text, Field(description="only documents updated since YYYY-MM-DD")] = "",
        instruction: Annotated[Text, Field(description="who or what the answer is for")] = "",
    ) -> str:
        """Find the passages of the indexed documents that answer a question, best first."""
        with _tool_errors():
            _check("top_k", top_k, MAX_HITS, "passages")
            options = replace(defaults, top_k=top_k, instruction=instruction or None, where=parse_where(where or []))
            options = _filtered(options, live_searcher.mapper, path, since)
            (result,) = live_searcher.search_many([(query, options)])
            return mcp_text.hits_text(result, live_searcher.mapper)

    @server.tool(**TEXT)
    def get_document(
        path: Annotated[str, Field(description="path of an indexed document, as `search` gives it")],
        first_line: Annotated[int, _number("line to start at", 10**9)] = 1,
        last_line: Annotated[int | None, _number("last line; default: to the end", 10**9)] = None,
        limit: Annotated[int, _number("lines at most", MAX_LINES)] = 400,
    ) -> str:
        """Read lines of an indexed document, all of a short one."""
        with _tool_errors(), live_searcher.reader() as reader:
            _check("limit", limit, MAX_LINES, "lines")
            mapper = live_searcher.mapper
            document = _document(reader, mapper, path)
            return mcp_text.document_text(document, mapper.shown(document.path), first_line, last_line, limit)

    @server.tool(**TEXT)
    def list_documents(
        path: Paths = None,
        limit: Annotated[int, _number("documents at most", MAX_LINES)] = 200,
        skip: Annotated[int, Field(description="documents to pass over, for the next page")] = 0,
    ) -> str:
        """List the paths of indexed documents."""
        with _tool_errors(), live_searcher.reader() as reader:
            _check("limit", limit, MAX_LINES, "documents")
            mapper = live_searcher.mapper
            patterns = [mapper.stored_pattern(pattern) for pattern in path or []]
            return mcp_text.paths_text(reader.documents(), mapper, patterns=patterns, limit=limit, skip=max(0, skip))

    @server.tool(annotations=READS_ONLY)
    def status() -> dict[str, Any]:
        """Return what is indexed and which models answer."""
        with _tool_errors():
            facts = live_searcher.status()
            return {**facts, "index": visible(facts["index"])}  # its path may not be UTF-8

    return server


def run_stdio(live_searcher: LiveSearcher) -> None:
    """Serve over stdin and stdout until stdin closes. Messages that are not valid JSON text get an error."""
    server = make_mcp(live_searcher)._lowlevel_server  # the SDK takes no streams in public

    async def serve() -> None:
        async with stdio_server() as (read_stream, write_stream), anyio.create_task_group() as group:
            forward, checked = anyio.create_memory_object_stream[Any](0)
            group.start_soon(answer_invalid, read_stream, forward, write_stream)
            await server.run(checked, write_stream, server.create_initialization_options())

    anyio.run(serve)


def run_http(live_searcher: LiveSearcher) -> None:
    """Serve streamable HTTP at /mcp, behind the guard of `ragsearch serve`."""
    settings = live_searcher.config.settings.server
    listener, url = listen(settings.host, settings.port)
    hosts_are_checked = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # by our guard
    app = make_mcp(live_searcher).streamable_http_app(host=settings.host, transport_security=hosts_are_checked)
    print(f"listening on {url}/mcp", file=sys.stderr, flush=True)
    guarded = Guard(UnicodeGuard(cast("App", app)), make_rules(settings), lambda _route, _status, _seconds: None)
    run_app(guarded, listener, head_timeout_s=settings.body_timeout_s)


def _filtered(options: SearchOptions, mapper: PathMapper, path: list[str] | None, since: str) -> SearchOptions:
    try:
        day = date.fromisoformat(since).isoformat() if since else None
    except ValueError as error:
        raise InputError(f"since is {plain(since)[:40]!r}.", remedy="Write YYYY-MM-DD.") from error
    return replace(options, paths=tuple(map(mapper.stored_pattern, path or [])), since=day)


def _check(name: str, value: int, maximum: int, things: str) -> None:
    if not 1 <= value <= maximum:
        raise InputError(f"{name} is {value}.", remedy=f"Ask for 1 to {maximum} {things}.")


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turn our errors into tool errors. The SDK hides the message of any other error from the agent."""
    try:
        yield
    except RagSearchError as error:
        raise ToolError(plain(str(error))) from error


def _document(reader: ReadStore, mapper: PathMapper, path: str) -> Document:
    """Look up a document by its indexed path, so that a path out of the index finds nothing."""
    name = path.encode("utf-8", "replace").decode()
    for stored in unicode_forms((mapper.stored(name), name)):
        try:
            return reader.document(stored)
        except InputError:
            continue
    raise InputError(f"{plain(name)[:200]!r} is not an indexed document.", remedy="Give the `path` of a search result.")
