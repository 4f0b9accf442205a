"""Measure how long a person waits for `ragsearch query` beside a warm server, and where the time goes.

    python -m benchmarks.serve_warm --index indexes/default

Whole processes run in turn, so a machine whose speed drifts is fair to all: a bare interpreter, `ragsearch query`
through a running server, and the same without one. Then come the time inside the server, from its log, and the time of
each stage, for questions that were never asked before. Results: benchmarks/results/serve_warm.md and .json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.asking import new_questions
from rag_search.server.thin_client import ROUTE
from tests.support import machine
from tests.support.served import Served, serving

RESULTS = Path(__file__).with_name("results") / "serve_warm.json"
RAGSEARCH = Path(sys.executable).with_name("ragsearch")
QUESTION = "如何解决Redis连接超时"

Times = dict[str, list[float]]


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("indexes/default"))
    parser.add_argument("--documents", type=Path, default=Path("corpus/docs"))
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving(arguments.index, log=Path(folder) / "log") as server:
        times = processes(arguments.index, arguments.repeats)
        times["inside the server, for such a query"] = logged(server, ROUTE)[1:]
        asked = new_questions(arguments.documents)[: 10 * arguments.repeats]
        stages = one_after_the_other(server, asked)
        stages["inside the server"] = logged(server, "/v1/search")
    stored = {"schema": 1, "facts": machine.facts(), "processes": summary(times), "stages": summary(stages)}
    RESULTS.write_text(json.dumps(stored, indent=2) + "\n", "utf-8")
    RESULTS.with_suffix(".md").write_text(as_markdown(stored), "utf-8")
    print(as_markdown(stored))


def processes(index: Path, repeats: int) -> Times:
    """Return milliseconds of whole processes, without the first round, which warms the file cache."""
    query = [str(RAGSEARCH), "query", "--index", f"{index}/", QUESTION]
    commands = {
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`ragsearch query` through the server": query,
        "`ragsearch query --no-server`": [*query, "--no-server"],
    }
    return machine.timed_in_turn(commands, repeats)


def one_after_the_other(server: Served, questions: Sequence[str]) -> Times:
    """Return milliseconds of each stage, from the answers, and of the whole request, from the client."""
    times: Times = {}
    for question in questions:
        body = json.dumps({"query": question}).encode()
        url = f"http://127.0.0.1:{server.port}/v1/search"
        request = urllib.request.Request(url, body, {"content-type": "application/json"})
        start = time.perf_counter()
        with urllib.request.urlopen(request) as response:
            answer = json.load(response)
        stages = {"search" if name == "total" else name: ms for name, ms in answer["timings_ms"].items()}
        for name, ms in {**stages, "whole request": (time.perf_counter() - start) * 1000}.items():
            times.setdefault(name, []).append(ms)
    return times


def logged(server: Served, route: str) -> list[float]:
    """Return what the server's log records about a route."""
    lines = [json.loads(line) for line in server.log.read_text("utf-8").split("\n") if line]
    return [line["ms"] for line in lines if line.get("route") == route]


def summary(times: Times) -> dict[str, dict[str, float]]:
    """Summarise times by name."""
    middle = {name: statistics.median(ms) for name, ms in times.items()}
    return {name: {"median_ms": middle[name], "min_ms": min(ms), "max_ms": max(ms)} for name, ms in times.items()}


def as_markdown(stored: dict[str, Any]) -> str:
    """Render the results as Markdown."""
    lines = [machine.line(stored["facts"])]
    for title, rows in (("process", stored["processes"]), ("part of a request, one client", stored["stages"])):
        lines += ["", f"| {title} | median ms | min ms | max ms |", "|---|---:|---:|---:|"]
        for name, row in rows.items():
            lines.append(f"| {name} | {row['median_ms']:.1f} | {row['min_ms']:.1f} | {row['max_ms']:.1f} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
