"""Load the models, listen, and answer until a signal arrives."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from rag_search.config import Config
from rag_search.errors import ServerError
from rag_search.server.app import Mount, make_app, make_rules
from rag_search.server.connection import BoundedProtocol
from rag_search.server.discovery import advertise
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.logs import log_to, muted_prints
from rag_search.server.middleware import App
from rag_search.server.own_socket import own_socket

KEEP_ALIVE_S = 15
SHUTDOWN_S = 10


def serve(
    config: Config,
    *,
    log_file: Path | None = None,
    log_requests: bool = True,
    mounts: tuple[Mount, ...] = (),
    on_listening: Callable[[str], None] = lambda url: print(f"listening on {url}", file=sys.stderr, flush=True),
) -> None:
    """Load the models, listen, and advertise the server. Returns after SIGINT or SIGTERM.

    log_file: None logs to stderr. mounts: functions that add pages. on_listening: called with the URL once clients can
    connect.
    """
    make_rules(config.settings.server)  # refuse before the models are loaded
    signal.signal(signal.SIGTERM, _stop)  # while loading, before uvicorn handles signals
    log_to(log_file)
    logging.getLogger("ragsearch.access").setLevel(logging.INFO if log_requests else logging.WARNING)
    listener, url = listen(config.settings.server.host, config.settings.server.port)
    app = make_app(LiveSearcher.load(config), mounts=mounts)
    with advertise(config, url), own_socket() as private:
        on_listening(url)
        run_app(app, *private, listener, head_timeout_s=config.settings.server.body_timeout_s)


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """Open a socket on which clients can connect and wait. Return it and its URL.

    Raises ServerError if the address cannot be used.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = _listening(socket.socket(family, kind, proto), address)
    except OSError as error:
        raise ServerError(f"{host}:{port} cannot be used: {error.strerror}.", remedy=_remedy(error)) from error
    bound, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound, bound)
    return listener, f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _listening(listener: socket.socket, address: Any) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)  # from here on clients wait instead of being refused
    except OSError:
        listener.close()
        raise
    return listener


def _remedy(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose a --host that is an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them."
    if error.errno == errno.EADDRINUSE:
        return "Stop the program that listens there, or choose another --port."
    return "Choose another --host or --port."


def run_app(
    app: App,
    *listeners: socket.socket,
    head_timeout_s: float = BoundedProtocol.head_timeout_s,
    shutdown_s: int = SHUTDOWN_S,
) -> None:
    """Answer requests until SIGINT or SIGTERM.

    Requests in flight are answered, those that are not ready after `shutdown_s` with a 503. Libraries cannot print
    meanwhile: what they print may quote a request.
    """
    _collect_garbage_often()
    signal.signal(signal.SIGTERM, _stop)  # uvicorn raises it again at the end; the caller must still clean up
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="asyncio",  # uvloop does not take the private socket
            http=type("Protocol", (BoundedProtocol,), {"head_timeout_s": head_timeout_s}),
            ws="none",  # there are no web socket routes
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=shutdown_s,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    with muted_prints():
        server.run(sockets=list(listeners))


def _collect_garbage_often() -> None:
    """Undo the rare garbage collection of the command line.

    A failed request leaves its body in a cycle of exceptions and frames, which only the collector frees. What is loaded
    by now is frozen, which makes each collection cheap.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 10)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)
