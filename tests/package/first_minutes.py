"""Write docs/first-minutes.md: what a newcomer sees who types every command of README.md, then of README.zh-CN.md.

python -m tests.package.first_minutes [--without COMMAND]...      (fetches packages; about a quarter of an hour)

Each page is followed in a clone of its own, with an empty home, no settings, and a terminal of 80 columns. A command
that fails ends the run.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import platform
import pty
import resource
import signal
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tests.package.readme import LISTENS, START_S, activated, clean_environment, commands_of

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "docs" / "first-minutes.md"
MAX_LINES = 24  # of the output of one command


def main() -> None:
    """Follow both pages and write down what was typed and printed."""
    parser = argparse.ArgumentParser(description="Write docs/first-minutes.md.")
    parser.add_argument("--without", action="append", default=[], help="a command to leave out; the page says so")
    without = parser.parse_args().without
    parts = [_head(without)]
    for name in ("README.md", "README.zh-CN.md"):
        with tempfile.TemporaryDirectory() as folder:
            parts.append(f"## {name}\n\n```console\n{_follow(name, Path(folder), without)}```\n")
    TARGET.write_text("\n".join(parts), "utf-8")


def _head(without: Sequence[str]) -> str:
    left_out = f" Left out: {', '.join(f'`{command}`' for command in without)}." if without else ""
    return (
        "# The first minutes\n\n"
        "Written by `python -m tests.package.first_minutes`: every command of each README in a fresh clone, with an\n"
        "empty home and a terminal of 80 columns. Packages came from a cache, and pip was told to be\n"
        f"quiet. In brackets: seconds passed, and seconds of CPU.{left_out}\n"
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores that other work "
        "shared.\n"
    )


def _follow(name: str, folder: Path, without: Sequence[str]) -> str:
    """Return the session of one page."""
    env = {**clean_environment(folder / "home"), "TERM": "dumb", "EDITOR": "head -3", "PIP_QUIET": "1"}
    clone = folder / "ragsearch"
    session = _typed(f"git clone --quiet {ROOT} ragsearch", cwd=folder, env=env)
    session += "$ cd ragsearch\n"
    for command in commands_of(clone / name):
        if command.startswith(LISTENS):
            session += _served(command, cwd=clone, env=env)
        elif command not in without:
            session += _typed(command, cwd=clone, env=env)
            env = activated(env)
    return session.replace(str(folder), "~").replace(str(ROOT), "ADDRESS")


def _typed(command: str, *, cwd: Path, env: dict[str, str]) -> str:
    """Run a command on a terminal and return what the terminal shows. Raises SystemExit if it fails."""
    start, cpu = time.monotonic(), _child_seconds()
    process, master = _start(f"{command}\nstatus=$?; env -0 > ~/environment; exit $status", cwd=cwd, env=env)
    printed = _read(master)
    code = process.wait()
    took = f"[{time.monotonic() - start:.1f} s, CPU {_child_seconds() - cpu:.1f} s]"
    shown = f"$ {command}\n{_cut(printed)}{took}\n"
    print(shown, flush=True)
    if code:
        raise SystemExit(f"{command} ended with {code}\n{printed}")
    return shown


def _served(command: str, *, cwd: Path, env: dict[str, str]) -> str:
    """Start a command that serves, end it with Ctrl-C when it listens, and return what it printed."""
    start = time.monotonic()
    process, master = _start(f"exec {command}", cwd=cwd, env=env)
    printed = b""
    while b"listening on " not in printed and time.monotonic() - start < START_S:
        printed += os.read(master, 65536)
    took = f"[{time.monotonic() - start:.1f} s until it listens]"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    rest = _read(master)
    process.wait()
    shown = f"$ {command}\n{_cut(_text(printed) + rest)}{took}\n"
    print(shown, flush=True)
    return shown


def _start(command: str, *, cwd: Path, env: dict[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start a command line on a new terminal and return its process and the reader's end of the terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    os.close(slave)
    return process, master


def _read(master: int) -> str:
    """Return the text of a terminal until nobody writes to it any more."""
    content = b""
    try:
        while part := os.read(master, 65536):
            content += part
    except OSError:  # Linux reports the end so
        pass
    os.close(master)
    return _text(content)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


def _cut(text: str) -> str:
    """Return the first lines of an output, and how many are left out."""
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    left = len(lines) - MAX_LINES
    return "".join(f"{line}\n" for line in lines[:MAX_LINES]) + (f"... {left} more lines\n" if left > 0 else "")


def _child_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
