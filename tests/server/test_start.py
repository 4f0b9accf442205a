"""What `ragsearch serve` refuses before it loads anything, and what its log looks like."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from rag_search.errors import ServerError
from rag_search.server.logs import JsonLines, muted_prints
from rag_search.server.run import listen
from tests.server.conftest import MakeClient


def serve(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it until it ends by itself."""
    command = [sys.executable, "-m", "rag_search.cli.app", "serve", "--index", f"{folder}/index", *arguments]
    environment = {**os.environ, "RAGSEARCH_CACHE_DIR": str(folder / "cache"), "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, env=environment)


@pytest.mark.slow
def test_a_port_in_use_is_told_before_the_engine_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = serve(tmp_path, "--port", str(port))
    assert done.returncode == 2
    assert f"127.0.0.1:{port} cannot be used: Address already in use" in done.stderr
    assert "another --port" in done.stderr
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "the address 0.0.0.0 can be reached from other machines"),
        (["--host", "0.0.0.0", "--api-key", ""], "can be reached from other machines"),
        (["--host", "no.such.host.invalid", "--api-key", "k"], "no.such.host.invalid:7860 cannot be used"),
        (["--log-file", "nowhere/log"], "the log nowhere/log cannot be written"),
    ],
)
def test_what_cannot_be_is_one_clear_error(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = serve(tmp_path, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_foreign_address_is_not_called_in_use(host: str) -> None:
    """An address of no machine or of another one is not reported as in use."""
    with pytest.raises(ServerError, match="cannot be used") as raised:
        listen(host, 0)
    assert "--host that is an address of this machine" in raised.value.remedy


def test_an_error_in_the_log_says_where_and_not_what_about() -> None:
    def broken(text: str) -> None:
        raise ValueError(f"cannot read {text}")

    try:
        broken("classified")
    except ValueError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "x.py", 1, "failed\n", None, sys.exc_info())
    line = JsonLines().format(record)
    assert "classified" not in line
    facts = json.loads(line)
    assert (facts["message"], facts["error"], facts["level"]) == ("failed", "ValueError", "ERROR")
    assert facts["at"][-1].startswith("test_start.py:")
    assert facts["at"][-1].endswith(" broken")


def test_the_log_names_the_kind_of_a_failure(make_client: MakeClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="ragsearch.access")
    client = make_client(indexed=False)
    client.post("/v1/search", json={"query": "x"})
    client.post("/v1/search", content="x", headers={"content-type": "text/plain"})
    client.get("/health")
    facts = [json.loads(record.getMessage()) for record in caplog.records]
    assert [(each["status"], each.get("error")) for each in facts] == [
        (503, "IndexMissingError"),
        (415, "unsupported_media_type"),
        (200, None),
    ]


def test_libraries_print_and_log_nothing_of_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """Their prints are dropped, and of their log records the arguments; where they come from is told."""
    with muted_prints():
        print("secret question\nforged line", file=sys.stderr)
        print("secret question")
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["test_start.py"] * 2
    assert "secret" not in caplog.text
    record = logging.LogRecord("gradio", logging.ERROR, "x.py", 1, "failed at %s", ("secret\nquestion",), None)
    line = JsonLines().format(record)
    assert json.loads(line)["message"] == "failed at %s"
    text = "Exception in callback give(<Future>, 'secret question')\nhandle: <Handle 'secret question'>"
    line = JsonLines().format(logging.LogRecord("asyncio", logging.ERROR, "x.py", 1, text, (), None))
    assert json.loads(line)["message"] == "Exception in callback give"
    record = logging.LogRecord("rag_search.server", logging.ERROR, "x.py", 1, "a\nb %s", ("c\nd",), None)
    assert "\n" not in JsonLines().format(record)
