"""From settings to a listening server."""

from __future__ import annotations

import errno
import gc
import json
import logging
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import FrameType
from typing import Any

import uvicorn

from rag_search.config import Config
from rag_search.errors import ConfigError, ServerError
from rag_search.server.app import Mount, make_app, make_rules
from rag_search.server.connection import BoundedProtocol
from rag_search.server.discovery import announced
from rag_search.server.live_searcher import Engine
from rag_search.server.middleware import App

KEEP_ALIVE_S = 15
SHUTDOWN_S = 10
FRAMES = 6  # of a traceback in the log


def serve(
    config: Config,
    *,
    log_file: Path | None = None,
    log_requests: bool = True,
    mounts: tuple[Mount, ...] = (),
    on_listening: Callable[[str], None] = lambda url: print(f"listening on {url}", file=sys.stderr, flush=True),
) -> None:
    """Load the engine, listen, announce the server; returns after SIGINT or SIGTERM.

    on_listening: is told the URL when clients may connect.
    """
    make_rules(config.settings.server)  # refuse before the models are loaded
    signal.signal(signal.SIGTERM, _stop)  # also while it is loading, and before uvicorn listens to signals
    _log_to(log_file)
    logging.getLogger("ragsearch.access").setLevel(logging.INFO if log_requests else logging.WARNING)
    listener, url = listen(config.settings.server.host, config.settings.server.port)
    app = make_app(Engine.load(config), mounts=mounts)
    with announced(config, url):
        on_listening(url)
        run_app(app, listener, head_timeout_s=config.settings.server.body_timeout_s)


def listen(host: str, port: int) -> tuple[socket.socket, str]:
    """A socket on which clients may connect and wait, and its URL. Raises ServerError."""
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
        listener.listen(1024)  # from here on a client waits and is not refused
    except OSError:
        listener.close()
        raise
    return listener


def _remedy(error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Choose a --host that is an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them."
    if error.errno == errno.EADDRINUSE:
        return "Stop what listens there, or choose another --port."
    return "Choose another --host or --port."


def run_app(app: App, listener: socket.socket, *, head_timeout_s: float = BoundedProtocol.head_timeout_s) -> None:
    """Answer until SIGINT or SIGTERM."""
    _collect_garbage_often()
    signal.signal(signal.SIGTERM, _stop)  # uvicorn raises it again when it is done; what follows must still happen
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=type("Protocol", (BoundedProtocol,), {"head_timeout_s": head_timeout_s}),
            ws="none",  # no route of ours is a web socket
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_S,
            h11_max_incomplete_event_size=64 * 1024,
        )
    )
    server.run(sockets=[listener])


def _collect_garbage_often() -> None:
    """A failed request leaves its body in a cycle of exceptions and frames, which only the collector finds. The command
    line lets it rest; here what is loaded by now is left alone, so that looking at the rest is cheap."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 10)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _log_to(log_file: Path | None) -> None:
    """JSON lines: one for each request (see rag_search.server.middleware), and whatever the libraries warn about.

    A log file that was moved away (logrotate) is opened anew. Raises ConfigError when it cannot be written.
    """
    try:
        handler = WatchedFileHandler(log_file, encoding="utf-8") if log_file else logging.StreamHandler(sys.stderr)
    except OSError as error:
        raise ConfigError(
            f"the log {log_file} cannot be written: {error.strerror}.", remedy="Choose another --log-file."
        ) from error
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("ragsearch.access").setLevel(logging.INFO)


class JsonLines(logging.Formatter):
    """One JSON object for each record."""

    def format(self, record: logging.LogRecord) -> str:
        head = {"time": self.formatTime(record), "level": record.levelname, "logger": record.name}
        if record.name == "ragsearch.access":  # whose message is a JSON object already
            return f"{json.dumps(head)[:-1]}, {record.getMessage()[1:]}"
        line: dict[str, object] = {**head, "message": record.getMessage().strip()}
        if record.exc_info and record.exc_info[0]:  # where, but not what about: the message may quote a document
            frames = traceback.extract_tb(record.exc_info[2])[-FRAMES:]
            at = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
            line |= {"error": record.exc_info[0].__name__, "at": at}
        return json.dumps(line)
