"""The index for agents: an MCP server with the tools search, get_document and status."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from rag_search import __version__
from rag_search.engines.base_folder import base_folder
from rag_search.errors import InputError, RagSearchError
from rag_search.index import IndexReader
from rag_search.records import Document
from rag_search.render.formats import as_dict
from rag_search.render.paths import Places
from rag_search.server.app import make_rules
from rag_search.server.live_searcher import Engine
from rag_search.server.middleware import App, Guard
from rag_search.server.run import listen, run_app
from rag_search.text.sanitize import plain

MAX_HITS = 100
READS_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)
# told in the schema and checked below, because the error of a limit that pydantic checks is four lines long
TopK = Annotated[int, Field(description="passages wanted", json_schema_extra={"minimum": 1, "maximum": MAX_HITS})]
PATH = "path of an indexed document, as `search` gives it"


def make_mcp(engine: Engine) -> MCPServer[Any]:
    """The tools over a loaded engine. What goes wrong is a tool error that says what to do, never a protocol error."""
    server: MCPServer[Any] = MCPServer("ragsearch", version=__version__, log_level="WARNING")
    places = Places(base_folder(engine.config), Path.cwd())
    usual = engine.config.settings.search.options
    usual_hits = min(usual.top_k, MAX_HITS)

    @server.tool(annotations=READS_ONLY)
    def search(
        query: Annotated[str, Field(description="a question or key words, in any language")],
        top_k: TopK = usual_hits,
        instruction: Annotated[str | None, Field(description="for whom or what the answer is")] = None,
    ) -> dict[str, Any]:
        """Find the passages of the indexed documents that answer a question, best first."""
        with _told():
            if not 1 <= top_k <= MAX_HITS:
                raise InputError(f"top_k is {top_k}.", remedy=f"Ask for 1 to {MAX_HITS} passages.")
            options = replace(usual, top_k=top_k, instruction=instruction)
            return as_dict(engine.search_many([(query, options)])[0], places)

    @server.tool(annotations=READS_ONLY)
    def get_document(path: Annotated[str, Field(description=PATH)]) -> dict[str, Any]:
        """Read the whole text of an indexed document."""
        with _told(), engine.reader() as reader:
            document = _document(reader, places, path)
        return {"path": path, "title": document.title, "updated": document.updated, "text": document.text}

    @server.tool(annotations=READS_ONLY)
    def status() -> dict[str, Any]:
        """Tell what is indexed and which engine answers."""
        with _told():
            return engine.status()

    return server


def run_http(engine: Engine) -> None:
    """Streamable HTTP at /mcp, behind the same guard as `ragsearch serve`."""
    settings = engine.config.settings.server
    listener, url = listen(settings.host, settings.port)
    app = cast("App", make_mcp(engine).streamable_http_app(host=settings.host))
    print(f"listening on {url}/mcp", file=sys.stderr, flush=True)
    guarded = Guard(app, make_rules(settings), lambda _route, _status, _seconds: None)
    run_app(guarded, listener, head_timeout_s=settings.body_timeout_s)


@contextmanager
def _told() -> Iterator[None]:
    """Our errors as errors of the tool; of any other the SDK tells the agent nothing."""
    try:
        yield
    except RagSearchError as error:
        raise ToolError(str(error)) from error


def _document(reader: IndexReader, places: Places, path: str) -> Document:
    """Looked up by name in the index, so a path that leads elsewhere finds nothing."""
    name = path.encode("utf-8", "replace").decode()
    for stored in (places.stored(name), name):
        try:
            return reader.document(stored)
        except InputError:
            continue
    shown = plain(name)[:200]
    raise InputError(f"{shown!r} is no indexed document.", remedy="Give the `path` of a search result.")
