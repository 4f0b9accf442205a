"""`ragsearch query` through a server: the same output as in its own process, and never silently another index."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import rag_search
from rag_search.config import load_config
from rag_search.server.discovery import record_path
from tests.support.project import Run, model_cache, project, run

pytest.importorskip("fastapi")
__all__ = ["model_cache", "project", "run"]  # fixtures


@pytest.fixture
def server(project: Path, run: Run) -> Iterator[subprocess.Popen[str]]:
    assert run("ingest", "docs").code == 0
    command = [sys.executable, "-m", "rag_search.cli.app", "serve", "--port", "0", "--log-file", "log.jsonl"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "listening" not in process.stderr.readline():
            assert process.poll() is None
        yield process
        process.terminate()
        process.wait(20)


def timeless(text: str) -> str:
    return re.sub(r'("\w+": [\d.]+,?\s*)+(?=\},\s*"confident")|\d+\.\d ms', "", text)


def rounded(text: str) -> str:
    """Round numbers to six places: a cold query opens the network in another way, which moves the eighth."""
    return re.sub(r"\d+\.\d+e-\d+|\d+\.\d{7,}", lambda match: f"{float(match[0]):.6f}", text)


def test_same_output_in_every_format(server: subprocess.Popen[str], run: Run) -> None:
    for arguments in (["--format", name] for name in ("table", "json", "jsonl", "csv", "md", "files")):
        question = ["query", "[面向新手] 如何解决Redis连接超时", "--min-score", "0", *arguments]
        warm, cold = run(*question), run(*question, "--no-server")
        assert rounded(timeless(warm.out)) == rounded(timeless(cold.out))
        assert warm.code == cold.code == 0
    assert "answered by the server at http://127.0.0.1:" in run("query", "kafka lag", "--explain").err
    nothing = "best pizza dough hydration for a wood oven"
    assert run("query", nothing).out == run("query", nothing, "--no-server").out
    assert run("query", "").code == 2


def test_another_setting_answers_in_process_and_says_so(server: subprocess.Popen[str], run: Run) -> None:
    done = run("query", "kafka lag", "--profile", "builtin", "--explain")
    assert "was not used" in done.err
    assert "answered by" not in done.err
    assert done.code == 0


def test_another_version_answers_in_process_and_says_so(
    server: subprocess.Popen[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_server = run("query", "kafka lag", "--format", "json")
    monkeypatch.setattr(rag_search, "__version__", "0.0.1")
    done = run("query", "kafka lag", "--explain", "--format", "json")
    assert "was not used: it has another version, index or settings" in done.err
    assert "answered by" not in done.err
    assert timeless(done.out) == timeless(with_server.out)


def test_what_the_server_would_refuse_is_answered_as_without_it(server: subprocess.Popen[str], run: Run) -> None:
    for question in ("x" * 20_001, "", "\ud800 redis"):
        warm, cold = run("query", question), run("query", question, "--no-server")
        assert (warm.code, timeless(warm.out)) == (cold.code, timeless(cold.out))
        assert cold.err in warm.err


def test_record_goes_with_the_server(server: subprocess.Popen[str], run: Run) -> None:
    """A killed server is forgotten and a stopped one cleans up."""
    file = record_path(load_config({}))
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text("utf-8"))["pid"] == server.pid
    server.send_signal(signal.SIGKILL)
    server.wait(10)
    done = run("query", "kafka lag")
    assert (done.code, done.err, file.exists()) == (0, "", False)


def test_a_terminated_server_removes_its_announcement(server: subprocess.Popen[str]) -> None:
    file = record_path(load_config({}))
    os.kill(server.pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not file.exists()
