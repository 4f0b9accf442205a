"""Start, watch and stop the servers. `servers.json` records what runs; the logs are beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from rag_search.engines.vllm_server.commands import ServerCommand
from rag_search.errors import EngineError, pip_install
from rag_search.runtime import telemetry
from rag_search.runtime.files import create_own, read_own, write_atomically
from rag_search.runtime.foreign_json import parse_json, read_record
from rag_search.runtime.http import root_of, uses_proxy
from rag_search.runtime.processes import is_port_taken, process_start

START_S = 1800.0  # the first start downloads up to 32 GB of weights
_END_S = 20.0


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One server. born: start of the process, so that a later process with its id is not taken for it."""

    name: str
    model: str
    url: str
    pid: int
    born: str
    log: str

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return process_start(self.pid) == self.born != ""

    @property
    def healthy(self) -> bool:
        """Whether it answers /health."""
        try:
            return httpx.get(root_of(self.url) + "/health", timeout=2, trust_env=uses_proxy(self.url)).is_success
        except (httpx.HTTPError, httpx.InvalidURL):
            return False


def servers_folder(cache_dir: Path) -> Path:
    """Return the folder of logs and process ids."""
    return cache_dir / "servers"


def state_of(server: RunningServer) -> str:
    """Return "ready", "starting" or "ended"."""
    if not server.alive:
        return "ended"
    return "ready" if server.healthy else "starting"


def start_all(
    commands: Sequence[ServerCommand],
    folder: Path,
    *,
    on_wait: Callable[[str, float], None] = lambda *_: None,
    start_s: float = START_S,
) -> list[RunningServer]:
    """Start one server after the other, each once the one before answers, and wait for all.

    on_wait: called with a name and the seconds waited. Running servers are left alone. Raises EngineError with the end
    of the log when one dies, and when a running one serves another model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = {server.name: server for server in read_servers(folder) if server.alive}
    for command in commands:
        if command.name in known:
            _require_same(known[command.name], command)
            _wait(known[command.name], on_wait, start_s)
            continue
        _refuse_taken(command)
        known[command.name] = _start(command, folder)
        _write(folder, list(known.values()))
        try:
            _wait(known[command.name], on_wait, start_s)
        except BaseException:
            stop_all(folder)
            raise
    return list(known.values())


def stop_all(folder: Path) -> list[RunningServer]:
    """Stop what runs and forget it; return the servers that were stopped."""
    running = [server for server in read_servers(folder) if server.alive]
    for server in running:
        _signal(server, signal.SIGTERM)
    end = time.monotonic() + _END_S
    while any(server.alive for server in running) and time.monotonic() < end:
        time.sleep(0.1)
    for server in running:
        _signal(server, signal.SIGKILL)  # also what is left of its group
    (folder / "servers.json").unlink(missing_ok=True)
    return running


def read_servers(folder: Path) -> list[RunningServer]:
    """Return the servers that `up` started, alive or not. Raises EngineError, ForeignFileError."""
    try:
        rows = parse_json(read_own(folder / "servers.json"))
        return [read_record(RunningServer, row) for row in rows]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise EngineError(f"{folder / 'servers.json'} cannot be read: {error}.", remedy="Remove it.") from error


def _start(command: ServerCommand, folder: Path) -> RunningServer:
    """Start one server. Raises EngineError."""
    log = folder / f"{command.name}.log"
    environment = {**os.environ, **command.environment, **telemetry.OFF}
    try:
        with create_own(log) as output:
            process = subprocess.Popen(
                command.args, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise EngineError(f"{command.args[0]} cannot be run: {error}.", remedy=f"Run: {pip_install('gpu')}") from error
    process.returncode = 0  # it outlives this process: no warning when the object goes
    return RunningServer(command.name, command.model, command.url, process.pid, process_start(process.pid), str(log))


def _wait(server: RunningServer, on_wait: Callable[[str, float], None], start_s: float) -> None:
    """Wait until a server is healthy. Raises EngineError when it ends or takes too long."""
    start = time.monotonic()
    while (waited := time.monotonic() - start) < start_s:
        if server.healthy:
            return
        if not server.alive:
            raise EngineError(f"the {server.name} server ended:\n{_tail(server)}", remedy=f"Its log: {server.log}")
        on_wait(server.name, waited)
        time.sleep(0.5)
    raise EngineError(f"the {server.name} server is not ready after {start_s:.0f} s.", remedy=f"Its log: {server.log}")


def _require_same(server: RunningServer, command: ServerCommand) -> None:
    """Raise EngineError unless a running server serves the model and address of the command."""
    if (server.model, server.url) != (command.model, command.url):
        raise EngineError(
            f"the {server.name} server runs already, with {server.model} at {server.url}.", remedy="Run: ragsearch down"
        )


def _refuse_taken(command: ServerCommand) -> None:
    """Raise EngineError if another server answers at the address, or another program has its port."""
    remedy = f"Stop it, or set {command.name}.url to another port."
    if RunningServer(command.name, command.model, command.url, 0, "", "").healthy:
        raise EngineError(f"another server answers at {command.url} already.", remedy=remedy)
    parts = urlsplit(command.url)
    if parts.hostname and parts.port and is_port_taken(parts.hostname, parts.port):
        raise EngineError(f"another program has port {parts.port}; it may be a server that is starting.", remedy=remedy)


def _tail(server: RunningServer) -> str:
    """Return the last lines of the log."""
    return "\n".join(Path(server.log).read_text("utf-8", "replace").split("\n")[-15:])


def _write(folder: Path, servers: Sequence[RunningServer]) -> None:
    """Record the running servers."""
    write_atomically(folder / "servers.json", json.dumps([asdict(server) for server in servers]).encode(), mode=0o600)


def _signal(server: RunningServer, number: int) -> None:
    """Send a signal to a server's process group."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, number)
