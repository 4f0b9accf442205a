"""The index for agents: an MCP server with the tools search, get_document and status."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import uvicorn
from mcp.server.mcpserver import MCPServer

from rag_search import __version__
from rag_search.records import SearchOptions
from rag_search.render.formats import as_dict
from rag_search.render.places import Places
from rag_search.serve.app import make_rules
from rag_search.serve.engine import Engine
from rag_search.serve.guard import App, Guard


def make_mcp(engine: Engine) -> MCPServer[Any]:
    """The tools over a loaded engine."""
    server: MCPServer[Any] = MCPServer("ragsearch", version=__version__, log_level="WARNING")
    places = Places(engine.config.base_dir, Path.cwd())

    @server.tool()
    def search(query: str, top_k: int = 5, instruction: str | None = None) -> dict[str, Any]:
        """Find the passages of the indexed documents that answer a question, best first."""
        options = SearchOptions(top_k=max(1, min(top_k, 100)), instruction=instruction)
        return as_dict(engine.search_many([(query, options)])[0], places)

    @server.tool()
    def get_document(path: str) -> dict[str, Any]:
        """The whole text of an indexed document; `path` as `search` gives it or as it is stored."""
        with engine.reader() as reader:
            stored = {places.shown(known): known for known in reader.documents()}.get(path, path)
            document = reader.document(stored)
        return {"path": path, "title": document.title, "updated": document.updated, "text": document.text}

    @server.tool()
    def status() -> dict[str, Any]:
        """What is indexed and which engine answers."""
        return engine.status()

    return server


def run_http(engine: Engine) -> None:
    """Streamable HTTP at /mcp, behind the same guard as `ragsearch serve`."""
    settings = engine.config.settings.server
    rules = make_rules(settings)
    app = make_mcp(engine).streamable_http_app(host=settings.host)
    guarded = Guard(cast("App", app), rules, lambda _route, _status, _seconds: None)
    uvicorn.run(guarded, host=settings.host, port=settings.port, log_level="warning", access_log=False)
