"""Nothing leaves the machine, and nothing is left in the home folder that is not ours."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rag_search.runtime import telemetry

SESSION = Path(__file__).with_name("offline_session.py")
OURS = ("project/", ".cache/ragsearch/", ".local/share/ragsearch/", ".config/ragsearch/")


def unshare() -> list[str]:
    """Return the command that gives a process a network of its own. Skips where the system refuses it."""
    command = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip")
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to make a network namespace")
    return command


def watched(home: Path, *arguments: str) -> dict[str, Any]:
    """Run the session in a network of its own and return what it saw."""
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", *telemetry.OFF)}
    home.mkdir()
    done = subprocess.run(
        [*unshare(), sys.executable, str(SESSION), str(home), *arguments],
        capture_output=True, text=True, env=environment, timeout=900, check=True,
    )  # fmt: skip
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.slow
def test_the_watch_sees_telemetry(tmp_path: Path) -> None:
    """The control: a look-up and a connection are seen, and the id that onnxruntime writes when it is imported bare."""
    if int(importlib.metadata.version("onnxruntime").split(".")[1]) < 29:
        pytest.skip("this onnxruntime has no telemetry")
    seen = watched(tmp_path / "home", "--control")
    assert {contact.split()[0] for contact in seen["contacts"]} == {"dns", "port"}
    assert any(file.endswith("deviceid") for file in seen["files"])


@pytest.mark.slow
def test_a_session_contacts_nobody(tmp_path: Path) -> None:
    """Ingest, query, rerank, evaluate, doctor, serve, ui and mcp in an empty home, without CI in the environment."""
    seen = watched(tmp_path / "home")
    assert seen["contacts"] == []
    assert {name: code for name, code in seen["codes"].items() if code not in (0, -15)} == {}
    assert [file for file in seen["files"] if not file.startswith(OURS)] == []


def test_variables_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user has set wins; the rest is set once."""
    for name in telemetry.OFF:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    telemetry.switch_off()
    assert {name: os.environ[name] for name in telemetry.OFF} == {**telemetry.OFF, "DO_NOT_TRACK": "0"}
