"""A server in the background: it says where it listens, answers queries, and `stop` ends it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag_search
from rag_search.config import load_config
from rag_search.errors import pip_install
from rag_search.server.discovery import find_server
from tests.support.project import Run

pytest.importorskip("fastapi", reason="the serve extra is not installed")


def ragsearch(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in its own process, whose arguments the daemon repeats."""
    environment = {**os.environ, "PYTHONPATH": str(Path(rag_search.__file__).parent.parent)}
    command = [sys.executable, "-m", "rag_search", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)


@pytest.fixture
def stopped(indexed: Path) -> Iterator[Path]:
    """A project whose server is gone at the end, even when a test fails."""
    yield indexed
    if record := find_server(load_config({})):
        os.kill(record.pid, signal.SIGKILL)


def test_a_daemon_answers_until_it_is_stopped(stopped: Path, run: Run) -> None:
    assert run("stop").code == 1
    done = ragsearch("serve", "--daemon", "--port", "0", "--json")
    assert done.returncode == 0, done.stderr
    started = json.loads(done.stdout)
    record = find_server(load_config({}))
    assert record is not None
    assert (record.url, record.pid) == (started["url"], started["pid"])
    assert "answered by the server" in run("query", "kafka lag", "--explain").err
    again = ragsearch("serve", "--daemon", "--port", "0")
    assert (again.returncode, record.url in again.stderr) == (2, True)
    assert json.loads(run("stop", "--json").out)["stopped"]["pid"] == record.pid
    assert find_server(load_config({})) is None


def test_a_daemon_believes_what_its_command_believes(stopped: Path, run: Run) -> None:
    """An option before the command holds for the server, too."""
    settings = stopped / "ragsearch.toml"
    settings.write_text('[server]\nhosts = ["docs.local"]\n', "utf-8")
    untrusted = ragsearch("serve", "--daemon", "--port", "0")
    assert (untrusted.returncode, "is not trusted" in untrusted.stderr) == (2, True)
    done = ragsearch("--trust", "serve", "--daemon", "--port", "0", "--json")
    settings.write_text("", "utf-8")
    assert done.returncode == 0, done.stderr
    assert json.loads(run("stop", "--json").out)["stopped"]["pid"] == json.loads(done.stdout)["pid"]


def test_a_daemon_that_cannot_start_shows_its_log(stopped: Path) -> None:
    done = ragsearch("serve", "--daemon", "--host", "0.0.0.0")  # an address for others needs a key
    assert (done.returncode, done.stdout) == (2, "")
    assert "the server ended: " in done.stderr
    assert "key" in done.stderr


def test_a_missing_package_is_said_before_the_start(stopped: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    done = run("serve", "--daemon")
    assert (done.code, done.err) == (
        2,
        f"error: the package 'fastapi' is not installed.\n  Run: {pip_install('serve')}\n",
    )


def test_a_query_starts_a_server_when_the_settings_ask(stopped: Path, run: Run) -> None:
    """The first query answers itself; a server is there for the next one."""
    (stopped / "ragsearch.toml").write_text("[cli]\nauto_serve = true\n", "utf-8")
    assert run("query", "kafka lag").code == 0
    deadline = time.monotonic() + 120
    while find_server(load_config({})) is None:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert run("stop").code == 0
