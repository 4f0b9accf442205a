"""The table of commands: their modules, and their summaries, so that the root's help imports none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """A command or a group of commands.

    module: below rag_search.cli. summary: the first sentence of its help. function: None: named like the command.
    """

    module: str
    summary: str
    function: str | None = None


# in the order of use, as the help lists them
COMMANDS: Mapping[str, Command] = {
    "ingest": Command("ingest", "Make the index equal to the folders."),
    "query": Command("query", "Find the passages that answer a question."),
    "search": Command("query", "Find the passages that answer a question.", "query"),
    "live": Command("live", "Search while typing; Enter opens the hit."),
    "open": Command("open", "Open a hit of the last query in the editor, at its line.", "open_hit"),
    "list": Command("documents", "List the indexed documents.", "list_documents"),
    "get": Command("documents", "Print the indexed text of documents, or some of their lines.", "get_documents"),
    "remove": Command("indexes", "Take documents out of the index."),
    "rerank": Command("rerank", "Score and rank passages against a question."),
    "evaluate": Command("evaluate", "Measure Top-1 hit rate and latency of each system."),
    "serve": Command("serve", "Keep the engine loaded and answer over HTTP."),
    "stop": Command("daemon", "Stop the server of this index."),
    "ui": Command("serve", "Search and try the reranker in a browser."),
    "mcp": Command("serve", "Serve the index to agents over MCP."),
    "up": Command("up", "Start the embedding and the rerank server (vLLM)."),
    "down": Command("up", "Stop the servers that `up` started."),
    "status": Command("health", "Print what is in the index."),
    "doctor": Command("health", "Check everything a query needs."),
    "verify": Command("health", "Re-check hashes, counts, vector norms and the full-text index."),
    "trust": Command("trust", "Believe the settings of a project from elsewhere."),
    "completion": Command("completion", "Print the script that completes commands and flags."),
}
GROUPS: Mapping[str, Command] = {
    "index": Command("indexes", "The indexes of this machine.", "index_app"),
    "store": Command("store", "Copy an index between this machine and a database.", "store_app"),
    "models": Command("models", "Get rerankers in ONNX from a hub.", "models_app"),
    "config": Command("settings", "Settings and where they come from.", "config_app"),
}
ALIASES = frozenset({"search"})
