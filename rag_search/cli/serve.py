"""`ragsearch serve`, `ui` and `mcp`: load the engine once for programs, browsers and agents."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import load_config, stderr_console
from rag_search.cli.options import IndexOption, ProfileOption
from rag_search.errors import MissingExtraError, pip_install
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.config import Config

HostOption = Annotated[
    str | None, typer.Option(help="Address to listen on; one that other machines reach needs a key.")
]
PortOption = Annotated[int | None, typer.Option(help="Port; 0 takes a free one.")]
KeyOption = Annotated[
    str | None, typer.Option(help="Key for every request; RAGSEARCH_SERVER__API_KEY keeps it out of the process list.")
]
LogOption = Annotated[Path | None, typer.Option(help="Log to this file instead of stderr.")]


class Transport(StrEnum):
    """Transport of MCP."""

    stdio = "stdio"
    http = "http"


def serve(
    host: HostOption = None,
    port: PortOption = None,
    api_key: KeyOption = None,
    log_file: LogOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Batches that run at the same time.")] = None,
    max_batch: Annotated[int | None, typer.Option(min=1, help="Requests in one model call.")] = None,
    daemon: Annotated[bool, typer.Option("--daemon", help="Start in the background; `stop` ends it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --daemon: print JSON.")] = False,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Keep the engine loaded and answer over HTTP.

    `ragsearch query` uses a running server by itself.

    Example: ragsearch serve --port 7860
    """
    config = load_config(
        index=index,
        profile=profile,
        server__host=host,
        server__port=port,
        server__api_key=api_key,
        server__workers=workers,
        server__max_batch=max_batch,
    )
    if importlib.util.find_spec("fastapi") is None:
        raise MissingExtraError("fastapi", "serve")
    if daemon:
        from rag_search.cli.daemon import serve_in_background

        serve_in_background(config, as_json=as_json)
        return
    page = importlib.util.find_spec("gradio") is not None
    if not page:
        stderr_console().print(
            f"no web page: gradio is not installed. To add it, run: {pip_install('ui')}", soft_wrap=True
        )
    _serve(config, log_file=log_file, page=page)


def ui(
    host: HostOption = None,
    port: PortOption = None,
    api_key: KeyOption = None,
    log_file: LogOption = None,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Search and try the reranker in a browser.

    Starts the same server as `ragsearch serve`, and opens its page.

    Example: ragsearch ui --port 7860
    """
    if importlib.util.find_spec("gradio") is None:
        raise MissingExtraError("gradio", "ui")
    config = load_config(index=index, profile=profile, server__host=host, server__port=port, server__api_key=api_key)
    to_file = log_file is not None  # one view of the page is 60 requests: too many lines for a terminal
    _serve(config, log_file=log_file, log_requests=to_file, page=True, preload=True, open_browser=open_browser)


def _serve(
    config: Config,
    *,
    log_file: Path | None,
    page: bool,
    preload: bool = False,
    log_requests: bool = True,
    open_browser: bool = False,
) -> None:
    try:
        from rag_search.cli.served_query import mount_served_query
        from rag_search.server.run import serve as run
        from rag_search.server.ui.mount import PATH, Loading, mount_page
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "fastapi", "serve") from error

    def on_listening(url: str) -> None:
        stderr_console().print(f"listening on {url}", soft_wrap=True)
        if page:
            stderr_console().print(f"web page at {url}{PATH}/", soft_wrap=True)
        if problem := index_problem(config):
            stderr_console().print(f"no search yet: {problem}", style="yellow", soft_wrap=True)
        if open_browser and _has_screen():
            import webbrowser

            webbrowser.open(f"{url}{PATH}/")

    watched = Loading.AT_START if sys.stderr.isatty() else Loading.AT_VISIT  # a service may never be asked for a page
    loading = Loading.BEFORE_START if preload else watched
    stderr_console().print("loading the engine")
    run(
        config,
        log_file=log_file,
        log_requests=log_requests,
        mounts=(mount_served_query, partial(mount_page, loading=loading)) if page else (mount_served_query,),
        on_listening=on_listening,
    )


def index_problem(config: Config) -> str:
    """Return why the index cannot be searched, "" if it can. Reranking and embeddings do without one."""
    from rag_search.engines.open import reading
    from rag_search.errors import RagSearchError

    try:
        with reading(config):
            return ""
    except RagSearchError as error:
        return plain(str(error))


def _has_screen() -> bool:
    """Return whether there is a screen; without one `webbrowser` may start a browser inside the terminal."""
    return sys.platform != "linux" or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def mcp(
    action: Annotated[
        list[str] | None, typer.Argument(help="`install AGENT` enters the server into the settings of an agent.")
    ] = None,
    transport: Annotated[Transport, typer.Option(help="stdio, or http at /mcp.")] = Transport.stdio,
    host: HostOption = None,
    port: PortOption = None,
    api_key: KeyOption = None,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Serve the index to agents over MCP.

    Tools: search, get_document, list_documents, status. `ragsearch mcp install AGENT` enters it into the settings of
    claude-code, claude-desktop, codex, cursor, gemini, qwen, vscode or windsurf.

    Example: ragsearch mcp install cursor
    """
    if action:
        _install_mcp(action, load_config(index=index))
        return
    try:
        from rag_search.server import mcp as server
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or "mcp", "mcp") from error
    from rag_search.server.app import make_rules
    from rag_search.server.live_searcher import LiveSearcher

    config = load_config(index=index, profile=profile, server__host=host, server__port=port, server__api_key=api_key)
    make_rules(config.settings.server)
    live_searcher = LiveSearcher.load(config)
    if transport is Transport.stdio:
        server.run_stdio(live_searcher)
    else:
        server.run_http(live_searcher)


def _install_mcp(action: Sequence[str], config: Config) -> None:
    """Enter the MCP server into the settings of an agent. Raises InputError for any other action."""
    from rag_search.errors import InputError
    from rag_search.server.mcp_install import AGENTS, install

    if len(action) != 2 or action[0] != "install" or action[1] not in AGENTS:
        words = plain(" ".join(action))
        raise InputError(f"{words!r} is not an action.", remedy=f"Run: ragsearch mcp install {' | '.join(AGENTS)}")
    project = config.project_file.parent if config.project_file else Path.cwd()
    file = install(action[1], index=config.index_dir.resolve(), project=project)
    stderr_console().print(f"wrote {plain(str(file))}; restart {action[1]} to use it", soft_wrap=True)
