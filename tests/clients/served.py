"""A real process that serves, over the builtin engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 60


@dataclass(frozen=True)
class Project:
    """A folder with an index, and the environment in which commands find it."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *arguments: str) -> str:
        """stdout of a ragsearch command that succeeds."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment, timeout=TIMEOUT_S, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[str]:
        """`ragsearch ARGUMENTS` listens while the block runs; gives the address that it printed."""
        command = self.command(*arguments, "--port", "0")
        with subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                yield _address(process)
            finally:
                process.terminate()
                process.wait(TIMEOUT_S)

    def command(self, *arguments: str) -> list[str]:
        """The command line, with this Python."""
        return [sys.executable, "-m", "rag_search.cli.app", *arguments]


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if "listening on " in line:
            return line.split("listening on ")[1].strip()
    raise AssertionError("it ended before it listened")
