"""What stands under every table: command, hardware, date; and what several benchmarks measure alike."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

MATRIX_FLAGS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm")


def facts() -> dict[str, str]:
    """Command as it was typed, CPU with its matrix instructions, cores, load of the last minutes, date."""
    script, *rest = sys.argv
    return {
        "command": " ".join(["python -m", f"benchmarks.{Path(script).stem}", *(_shown(part) for part in rest)]),
        "cpu": _cpu(),
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "load": f"{os.getloadavg()[0]:.1f} (1 min), {os.getloadavg()[1]:.1f} (5 min)",
        "python": platform.python_version(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def line(facts: dict[str, str]) -> str:
    """`facts` as one line of Markdown."""
    return f"`{facts['command']}`, " + ", ".join(f"{k} {v}" for k, v in facts.items() if k != "command") + "."


def memory_mb() -> dict[str, float]:
    """Of this process: resident now, its peak, and the part of now that is not a mapped file."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    names = {"VmRSS": "resident", "VmHWM": "peak", "RssAnon": "not mapped"}
    return {ours: int(lines[name].split()[0]) / 1024 for name, ours in names.items()}


def timed_in_turn(commands: Mapping[str, Sequence[str]], repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each command as a whole process, `repeats` times after one that warms the file cache; they take
    turns, so that a machine whose speed drifts is fair to all. As installed: compiled modules are kept."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for repeat in range(repeats + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            if repeat:
                times[name].append((time.perf_counter() - start) * 1000)
    return times


def read_once(index: Path) -> None:
    """Vectors and database into the page cache, as those of a program that has been asked before are."""
    for file in index.iterdir():
        if file.suffix in (".f16", ".u3", ".i32", ".bm25", ".db"):
            with file.open("rb") as opened:
                while opened.read(2**24):
                    pass


def _shown(part: str) -> str:
    """An absolute path by its last part: where things lay on this machine is nobody's business."""
    return Path(part).name if part.startswith("/") else part


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().split("\n") if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return f"{model} ({' '.join(flag for flag in MATRIX_FLAGS if flag in flags)})"
