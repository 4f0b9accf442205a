"""`ragsearch serve --daemon` and `stop`: a server that outlives its terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from rag_search.cli.common import NOTHING, load_config, print_json, stderr_console
from rag_search.cli.options import IndexOption, JsonOption
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.server.discovery import ServerRecord

START_S, STOP_S, POLL_S = 120.0, 30.0, 0.1
LOG_LINES = 5  # of a server that did not start


def start_daemon(config: Config, arguments: Sequence[str], *, wait_s: float = START_S) -> ServerRecord | None:
    """Start `ragsearch serve` in the background and return its record when it listens.

    Args:
        config: settings of the index that it serves.
        arguments: those of `ragsearch serve`, without --daemon.
        wait_s: longest time to wait; 0 returns at once, without a record.

    Raises:
        ServerError: a server of this index runs already, or the new one ended or did not listen in time.
    """
    from rag_search.errors import ServerError
    from rag_search.runtime.files import create_own
    from rag_search.server.discovery import find_server, record_path

    if running := find_server(config):
        raise ServerError(f"a server of this index runs at {running.url}.", remedy="To end it: ragsearch stop")
    log = record_path(config).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "rag_search", "serve", *arguments]
    with create_own(log) as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        if record := find_server(config):
            return record
        if process.poll() is not None:
            raise ServerError(f"the server ended: {_tail(log)}", remedy=f"Its log: {log}")
        time.sleep(POLL_S)
    process.returncode = 0  # it outlives this process: no warning when the object goes
    if wait_s:
        raise ServerError(f"the server does not listen after {wait_s:.0f} s.", remedy=f"Its log: {log}")
    return None


def _tail(log: Path) -> str:
    """Return the last lines of a log in one line."""
    lines = log.read_text("utf-8", "replace").strip().split("\n")
    return " ".join(line.strip() for line in lines[-LOG_LINES:])


def serve_in_background(config: Config, *, as_json: bool) -> None:
    """Start the server with the flags of this command line, and print where it listens."""
    own = sys.argv[sys.argv.index("serve") + 1 :]  # options before the command, such as --trust, are in the environment
    arguments = [argument for argument in own if argument not in ("--daemon", "--json")]
    record = start_daemon(config, arguments)
    if record is None:
        return
    if as_json:
        print_json({"url": record.url, "pid": record.pid})
    else:
        sys.stdout.write(f"listening on {record.url}\n")
        stderr_console().print("to end it: ragsearch stop", style="dim")


def stop(as_json: JsonOption = False, index: IndexOption = None) -> None:
    """Stop the server of this index. Exits with 1 if there is none.

    Example: ragsearch stop
    """
    from rag_search.errors import ServerError
    from rag_search.server.discovery import find_server

    config = load_config(index=index)
    record = find_server(config)
    if record is None:
        stderr_console().print("no server of this index is running")
        raise typer.Exit(NOTHING)
    os.kill(record.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while find_server(config) == record:
        if time.monotonic() > deadline:
            raise ServerError(f"the server (pid {record.pid}) does not end.", remedy=f"Run: kill -9 {record.pid}")
        time.sleep(POLL_S)
    if as_json:
        print_json({"stopped": {name: asdict(record)[name] for name in ("url", "pid")}})
    else:
        sys.stdout.write(f"stopped the server at {plain(record.url)}\n")
