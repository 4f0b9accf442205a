"""Run one peer in its own environment: `python -m benchmarks.peers.worker TASK.json`.

Actions: `rank` builds an index and answers every question; `build` only builds; `ingest` times a build; `cold` opens an
index and answers one question; `warm` opens it and times many.
"""

from __future__ import annotations

import importlib
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.protocol import Job, Peer, documents_of, read_json, resident_mb, write_json

KEPT = 50  # documents of a ranking


def main() -> None:
    """Read the task, do it, write `out` as JSON."""
    task = read_json(Path(sys.argv[1]))
    module = importlib.import_module(f"benchmarks.peers.systems.{task['module']}")
    write_json(
        Path(task["out"]), {name: _do(task, _job(task, name), module.VARIANTS[name]()) for name in task["variants"]}
    )


def _do(task: dict[str, Any], job: Job, peer: Peer) -> Any:
    if task["action"] in ("rank", "build"):
        peer.prepare(job)
        peer.build(job)
    match task["action"]:
        case "rank":
            peer.open(job)
            return {key: documents_of(peer.search(text))[:KEPT] for key, text in task["questions"].items()}
        case "ingest":
            return _ingest(peer, job)
        case "cold":
            peer.open(job)
            return documents_of(peer.search(next(iter(task["questions"].values()))))[:5]
        case "warm":
            return _warm(peer, job, list(task["questions"].values()), task["discarded"])
    return None


def _job(task: dict[str, Any], variant: str) -> Job:
    folder = Path(task["folder"]) / re.sub(r"[^A-Za-z0-9]+", "-", variant)
    folder.mkdir(parents=True, exist_ok=True)
    documents = read_json(Path(task["documents"])) if task["documents"] else {}
    return Job(documents, task["markdown"], folder, task["address"], task["model"])


def _ingest(peer: Peer, job: Job) -> dict[str, float]:
    """Time a build in seconds, with the model loaded, to an index on disk."""
    peer.prepare(job)
    start = time.perf_counter()
    peer.build(job)
    return {"seconds": time.perf_counter() - start, "peak_mb": _peak_mb()}


def _warm(peer: Peer, job: Job, questions: list[str], discarded: int) -> dict[str, Any]:
    """Time each question after the first `discarded`, in milliseconds."""
    peer.open(job)
    for question in questions[:discarded]:
        peer.search(question)
    times = []
    for question in questions[discarded:]:
        start = time.perf_counter()
        peer.search(question)
        times.append(1000 * (time.perf_counter() - start))
    return {"ms": times, "peak_mb": _peak_mb(), "resident_mb": resident_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kilobytes on Linux


if __name__ == "__main__":
    main()
