"""Serve the index to agents: an MCP server with the tools search, get_document and status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Annotated, Any, cast

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from rag_search import __version__
from rag_search.errors import InputError, RagSearchError
from rag_search.index import ReadStore
from rag_search.records import Document
from rag_search.render.formats import as_dict
from rag_search.render.paths import PathMapper
from rag_search.server.app import make_rules
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.middleware import App, Guard
from rag_search.server.run import listen, run_app
from rag_search.text.sanitize import plain

MAX_HITS = 100
READS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
# limits are in the schema and checked below, because pydantic's own error is four lines long
TopK = Annotated[int, Field(description="number of passages", json_schema_extra={"minimum": 1, "maximum": MAX_HITS})]
PATH = "path of an indexed document, as `search` gives it"


def make_mcp(live_searcher: LiveSearcher) -> MCPServer[Any]:
    """Return the server with its tools. Failures become tool errors with a remedy, never protocol errors."""
    server: MCPServer[Any] = MCPServer("ragsearch", version=__version__, log_level="WARNING")
    mapper = PathMapper.of(live_searcher.config)
    defaults = live_searcher.config.settings.search.options
    default_hits = min(defaults.top_k, MAX_HITS)

    @server.tool(annotations=READS_ONLY)
    def search(
        query: Annotated[str, Field(description="a question or key words, in any language")],
        top_k: TopK = default_hits,
        instruction: Annotated[str | None, Field(description="who or what the answer is for")] = None,
    ) -> dict[str, Any]:
        """Find the passages of the indexed documents that answer a question, best first."""
        with _tool_errors():
            if not 1 <= top_k <= MAX_HITS:
                raise InputError(f"top_k is {top_k}.", remedy=f"Ask for 1 to {MAX_HITS} passages.")
            options = replace(defaults, top_k=top_k, instruction=instruction)
            return as_dict(live_searcher.search_many([(query, options)])[0], mapper)

    @server.tool(annotations=READS_ONLY)
    def get_document(path: Annotated[str, Field(description=PATH)]) -> dict[str, Any]:
        """Read the whole text of an indexed document."""
        with _tool_errors(), live_searcher.reader() as reader:
            document = _document(reader, mapper, path)
        return {"path": path, "title": document.title, "updated": document.updated, "text": document.text}

    @server.tool(annotations=READS_ONLY)
    def status() -> dict[str, Any]:
        """Return what is indexed and which models answer."""
        with _tool_errors():
            return live_searcher.status()

    return server


def run_http(live_searcher: LiveSearcher) -> None:
    """Serve streamable HTTP at /mcp, behind the guard of `ragsearch serve`."""
    settings = live_searcher.config.settings.server
    listener, url = listen(settings.host, settings.port)
    app = cast("App", make_mcp(live_searcher).streamable_http_app(host=settings.host))
    print(f"listening on {url}/mcp", file=sys.stderr, flush=True)
    guarded = Guard(app, make_rules(settings), lambda _route, _status, _seconds: None)
    run_app(guarded, listener, head_timeout_s=settings.body_timeout_s)


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Turn our errors into tool errors. The SDK hides the message of any other error from the agent."""
    try:
        yield
    except RagSearchError as error:
        raise ToolError(str(error)) from error


def _document(reader: ReadStore, mapper: PathMapper, path: str) -> Document:
    """Look up a document by its indexed path, so that a path out of the index finds nothing."""
    name = path.encode("utf-8", "replace").decode()
    for stored in (mapper.stored(name), name):
        try:
            return reader.document(stored)
        except InputError:
            continue
    raise InputError(f"{plain(name)[:200]!r} is not an indexed document.", remedy="Give the `path` of a search result.")
