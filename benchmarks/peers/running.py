"""Run a peer in its own environment and read what it answers."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import read_json, write_json

ROOT = Path(__file__).parents[2]
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class NotRun(Exception):
    """A peer that cannot run; the message says why."""


@dataclass(frozen=True)
class Tool:
    """A module of `systems`, its environment, the variants that are rows of a table and, when it is not for every set,
    the names of its sets. note: what a reader has to know."""

    module: str
    environment: str
    variants: tuple[str, ...]
    sets: frozenset[str] | None = None
    note: str = ""


@dataclass(frozen=True)
class Task:
    """What `benchmarks.peers.worker` is told; see there."""

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
    """answers: variant -> what it gave back. wall_s, peak_mb: of the whole process."""

    answers: dict[str, Any]
    wall_s: float
    peak_mb: float


def run_worker(tool: Tool, envs: Path, task: Task, *, variants: Sequence[str] = (), threads: int) -> Outcome:
    """One process of the tool. Raises NotRun when its environment is missing or it fails."""
    python = envs / tool.environment / "bin" / "python"
    if not python.exists():
        raise NotRun(f"its environment is missing; run: python -m benchmarks.peers.setup --envs {envs.name}")
    with tempfile.TemporaryDirectory() as folder:
        request, out = Path(folder, "task.json"), Path(folder, "answer.json")
        write_json(request, _as_json(tool, task, variants or tool.variants, out))
        wall_s, peak_mb = timed_process([str(python), "-m", "benchmarks.peers.worker", str(request)], threads)
        return Outcome(read_json(out), wall_s, peak_mb)


def timed_process(command: Sequence[str], threads: int) -> tuple[float, float]:
    """Wall seconds and peak resident megabytes of a process. Raises NotRun with its last words when it fails."""
    environment = {**os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **_OFFLINE, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # as installed: compiled modules are kept
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(list(command), stdout=said, stderr=said, env=environment, cwd=ROOT)
        _pid, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            lines = said.read().decode("utf-8", "replace").strip().split("\n")
            raise NotRun(lines[-1] or f"exit code {process.returncode}")
    return wall_s, _megabytes(used)


_OFFLINE = {
    "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", "HAYSTACK_TELEMETRY_ENABLED": "False",
    "ANONYMIZED_TELEMETRY": "False", "TRANSFORMERS_VERBOSITY": "error",
}  # fmt: skip


def _megabytes(used: resource.struct_rusage) -> float:
    return used.ru_maxrss / 1024  # kilobytes on Linux


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
