"""`ragsearch serve`, `ui` and `mcp`: the engine loaded once, for programs, browsers and agents."""

from __future__ import annotations

import importlib.util
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import IndexOption, ProfileOption, load, talk
from rag_search.errors import MissingExtraError

if TYPE_CHECKING:
    from rag_search.config import Config

HostOption = Annotated[str | None, typer.Option(help="Address; any but this machine's own needs a key.")]
PortOption = Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")]
KeyOption = Annotated[str | None, typer.Option(help="Key for every request; better RAGSEARCH_SERVER__API_KEY.")]
LogOption = Annotated[Path | None, typer.Option(help="Write the log there instead of stderr.")]


class Transport(StrEnum):
    """How MCP clients connect."""

    stdio = "stdio"
    http = "http"


def serve(
    host: HostOption = None,
    port: PortOption = None,
    api_key: KeyOption = None,
    log_file: LogOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Batches at the same time.")] = None,
    max_batch: Annotated[int | None, typer.Option(min=1, help="Requests in one model call.")] = None,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Keep the engine loaded and answer over HTTP.

    `ragsearch query` uses a running server by itself.

    Example: ragsearch serve --port 7860
    """
    config = load(
        index=index,
        profile=profile,
        server__host=host,
        server__port=port,
        server__api_key=api_key,
        server__workers=workers,
        server__max_batch=max_batch,
    )
    page = importlib.util.find_spec("gradio") is not None
    if not page:
        talk().print("no web page: gradio is not installed; pip install 'ragsearch[ui]' adds it", soft_wrap=True)
    _serve(config, log_file=log_file, page=page)


def ui(
    host: HostOption = None,
    port: PortOption = None,
    api_key: KeyOption = None,
    log_file: LogOption = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Show the page in the browser.")] = True,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Search and try the reranker in a browser.

    A server as `ragsearch serve` starts it, and its page.

    Example: ragsearch ui --port 7860
    """
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("gradio", "ui")
    config = load(index=index, profile=profile, server__host=host, server__port=port, server__api_key=api_key)
    to_file = log_file is not None  # a person watches this terminal, and a look at the page is 60 requests
    _serve(config, log_file=log_file, log_requests=to_file, page=True, open_browser=open_browser)


def _serve(
    config: Config, *, log_file: Path | None, page: bool, log_requests: bool = True, open_browser: bool = False
) -> None:
    try:
        from rag_search.server.run import serve as run
        from rag_search.server.ui.mount import PATH, mount_page
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error

    def on_listening(url: str) -> None:
        talk().print(f"listening on {url}", soft_wrap=True)
        if page:
            talk().print(f"web page at {url}{PATH}/", soft_wrap=True)
        if open_browser and _has_screen():
            import webbrowser

            webbrowser.open(f"{url}{PATH}/")

    talk().print("loading the engine")
    run(
        config,
        log_file=log_file,
        log_requests=log_requests,
        mounts=(mount_page,) if page else (),
        on_listening=on_listening,
    )


def _has_screen() -> bool:
    """Without one, `webbrowser` may start a browser that takes over the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def mcp(
    transport: Annotated[Transport, typer.Option(help="stdio, or http at /mcp.")] = Transport.stdio,
    host: HostOption = None,
    port: PortOption = None,
    api_key: KeyOption = None,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Serve the index to agents over MCP.

    Tools: search, get_document, status.

    Example: ragsearch mcp --transport stdio
    """
    try:
        from rag_search.server import mcp as server
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "mcp", "mcp") from error
    from rag_search.server.app import make_rules
    from rag_search.server.live_searcher import Engine

    config = load(index=index, profile=profile, server__host=host, server__port=port, server__api_key=api_key)
    make_rules(config.settings.server)
    engine = Engine.load(config)
    if transport is Transport.stdio:
        server.make_mcp(engine).run()
    else:
        server.run_http(engine)
