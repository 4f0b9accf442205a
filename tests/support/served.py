"""A `ragsearch serve` of its own for benchmarks and fault tests: on loopback, on a free port, watched from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its process, where it listens, and its log."""

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def memory_mb(self) -> float:
        """Resident now, without mapped files: how much of an index is mapped in says nothing about leaks."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1024

    def cpu_s(self) -> float:
        """Processor time used so far by all threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 - names are enough


@contextmanager
def serving(index: Path, *flags: str, log: Path) -> Iterator[Served]:
    """A server over `index`, stopped at the end of the block. Raises RuntimeError if it never starts."""
    command = [sys.executable, "-m", "rag_search.cli.app", "serve", "--port", "0", "--index", f"{index}/"]
    with subprocess.Popen([*command, "--log-file", str(log), *flags], stderr=subprocess.PIPE, text=True) as process:
        try:
            yield Served(process, _port(process), log)
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", line):
            return int(found.group(1))
    raise RuntimeError(f"the server did not start:\n{said}")
