"""Run a peer in its own environment and read its output."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import read_json, write_json

ROOT = Path(__file__).parents[2]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class NotRun(Exception):
    """A peer that cannot run; the message gives the reason."""


@dataclass(frozen=True)
class Tool:
    """A module of `systems`, its environment, and the variants that are rows of a table.

    Attributes:
        sets: names of the sets that it runs on; None: all.
        note: what a reader of the table must know.
        onnx: it loads the ONNX file of the exported model.
    """

    module: str
    environment: str
    variants: tuple[str, ...]
    sets: frozenset[str] | None = None
    note: str = ""
    onnx: bool = False


@dataclass(frozen=True)
class Task:
    """Input of `benchmarks.peers.worker`; see there."""

    action: str
    folder: Path
    documents: Path | None = None
    markdown: bool = False
    questions: Mapping[str, str] = field(default_factory=dict)
    address: str | None = None
    model: str | None = None
    discarded: int = 0


@dataclass(frozen=True)
class Outcome:
    """Output of a worker. answers: by variant. wall_s, peak_mb: of the whole process."""

    answers: dict[str, Any]
    wall_s: float
    peak_mb: float


def run_worker(tool: Tool, envs: Path, task: Task, *, variants: Sequence[str] = (), threads: int) -> Outcome:
    """Run one process of the tool.

    Raises:
        NotRun: its environment is missing, or it fails.
    """
    python = envs / tool.environment / "bin" / "python"
    if not python.exists():
        raise NotRun(f"its environment is missing; run: python -m benchmarks.peers.setup --envs {envs.name}")
    with tempfile.TemporaryDirectory() as folder:
        request, out = Path(folder, "task.json"), Path(folder, "answer.json")
        write_json(request, _as_json(tool, task, variants or tool.variants, out))
        wall_s, peak_mb = timed_process([str(python), "-m", "benchmarks.peers.worker", str(request)], threads)
        return Outcome(read_json(out), wall_s, peak_mb)


def timed_process(command: Sequence[str], threads: int) -> tuple[float, float]:
    """Return wall seconds and peak resident megabytes of a process.

    Raises:
        NotRun: it fails; the message has its last words.
    """
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **_OFFLINE, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: compiled modules are kept
    with tempfile.TemporaryDirectory() as folder:
        said, out = Path(folder, "said"), Path(folder, "used.json")
        timer = [sys.executable, "-S", "-c", _TIMER, str(said), str(out), *command]
        subprocess.run(timer, check=True, env=environment, cwd=ROOT)
        code, wall_s, kilobytes = read_json(out)
        if code:
            lines = said.read_text("utf-8", "replace").strip().split("\n")
            raise NotRun(lines[-1] or f"exit code {code}")
    return wall_s, kilobytes / 1024


# A small process in between: the peak that Linux reports of a child counts the parent's own memory until `exec`.
_TIMER = """
import json, os, sys, time
said, out, *command = sys.argv[1:]
file = os.open(said, os.O_CREAT | os.O_WRONLY)
start = time.perf_counter()
redirect = [(os.POSIX_SPAWN_DUP2, file, 1), (os.POSIX_SPAWN_DUP2, file, 2)]
pid = os.posix_spawnp(command[0], command, os.environ, file_actions=redirect)
_, status, used = os.wait4(pid, 0)
json.dump([os.waitstatus_to_exitcode(status), time.perf_counter() - start, used.ru_maxrss], open(out, "w"))
"""
_OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "HAYSTACK_TELEMETRY_ENABLED": "False",
    "ANONYMIZED_TELEMETRY": "False", "TRANSFORMERS_VERBOSITY": "error", "ORT_DISABLE_TELEMETRY": "1",
}  # fmt: skip


def _as_json(tool: Tool, task: Task, variants: Sequence[str], out: Path) -> dict[str, Any]:
    return {
        "module": tool.module,
        "variants": list(variants),
        "action": task.action,
        "documents": str(task.documents) if task.documents else None,
        "markdown": task.markdown,
        "questions": dict(task.questions),
        "folder": str(task.folder),
        "address": task.address,
        "model": task.model,
        "discarded": task.discarded,
        "out": str(out),
    }
