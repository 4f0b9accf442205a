"""Put load on `ragsearch serve`: clients in several processes, each asks one question after the other.

    python -m benchmarks.serve_load --index indexes/default [--clients 32] [--processes 4] [--seconds 6] [--rounds 3]

Every way of serving gets its own server for each run, on a free port of this machine. Runs take turns, so a machine
whose speed drifts is fair to all. There are two loads: `new` questions are never repeated (sentences of the documents);
`repeated` ones are the corpus' questions again and again. Clients use the same cores; the table has the CPU time of
both sides. Then one server is watched for --steady seconds for growing memory. Everything is bounded and ends by
itself. Results: results/serve_load.md, .json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.asking import Answers, new_questions, repeated_questions, run_clients
from tests.support import machine
from tests.support.served import Served, serving

MAX_SECONDS, MAX_CLIENTS, MAX_PROCESSES = 300, 256, 16
RESULTS = Path(__file__).with_name("results") / "serve_load.json"
WAYS = {
    "one by one (`--workers 1`)": ["--workers", "1"],
    "one batch at a time (`--workers 1 --max-batch 8`)": ["--workers", "1", "--max-batch", "8"],
    "two batches at a time (`--max-batch 8`)": ["--max-batch", "8"],
    "default (a worker for each core, no batches)": [],
}
COLUMNS = {
    "per_second": 1,
    "p50_ms": 0,
    "p95_ms": 0,
    "p99_ms": 0,
    "server_cpu_ms": 1,
    "client_cpu_ms": 2,
    "memory_mb": 0,
}

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Load:
    """Clients under test. clients: connections, spread over processes."""

    clients: int
    processes: int


def main() -> None:
    """Run every way of serving under both loads and write the results."""
    arguments = _parse_arguments()
    load = Load(min(arguments.clients, MAX_CLIENTS), min(arguments.processes, MAX_PROCESSES))
    questions = {"new": new_questions(arguments.documents), "repeated": repeated_questions(arguments.queries)}
    runs: dict[str, dict[str, list[Figures]]] = {name: {way: [] for way in WAYS} for name in questions}
    for _ in range(arguments.rounds):
        for name, asked in questions.items():
            for way in WAYS:
                run = one_run(arguments.index, WAYS[way], asked, load, min(arguments.seconds, MAX_SECONDS))
                print(name, way, run, flush=True)
                runs[name][way].append(run)
    steady = watched(arguments.index, questions["new"], load, min(arguments.steady, MAX_SECONDS))
    counts = {"clients": load.clients, "processes": load.processes, "seconds": arguments.seconds}
    stored = {"schema": 1, "facts": machine.facts(), "load": counts, "runs": runs, "steady": steady}
    RESULTS.write_text(json.dumps(stored, indent=2) + "\n", "utf-8")
    RESULTS.with_suffix(".md").write_text(as_markdown(stored), "utf-8")
    print(as_markdown(stored))


def one_run(index: Path, flags: Sequence[str], questions: Sequence[str], load: Load, seconds: float) -> Figures:
    """Put a fresh server under load."""
    with fresh(index, flags, questions) as server:
        cpu = server.cpu_s()
        answers = [run.result() for run in clients(server, questions, load, seconds)]
        server_cpu = server.cpu_s() - cpu
        return figures(answers, seconds, server_cpu) | {"memory_mb": server.memory_mb()}


def watched(index: Path, questions: Sequence[str], load: Load, seconds: float) -> dict[str, Any]:
    """Run the default for long and record the server's memory every second."""
    with fresh(index, [], questions) as server:
        cpu, series = server.cpu_s(), [server.memory_mb()]
        runs = clients(server, questions, load, seconds)
        while not all(run.done() for run in runs):
            time.sleep(1)
            series.append(server.memory_mb())
        found = figures([run.result() for run in runs], seconds, server.cpu_s() - cpu)
        return {"seconds": seconds, **found, "memory_mb": [round(mb, 1) for mb in series], "files": server.open_files()}


@contextmanager
def fresh(index: Path, flags: Sequence[str], questions: Sequence[str]) -> Iterator[Served]:
    """Start a server with its index open and its pages in memory."""
    with tempfile.TemporaryDirectory() as folder, serving(index, *flags, log=Path(folder) / "log.jsonl") as server:
        run_clients(server.address, questions[-8:], clients=1, seconds=0.5)
        yield server


def clients(server: Served, questions: Sequence[str], load: Load, seconds: float) -> list[Future[Answers]]:
    """Start the clients, by process; every process asks its own questions."""
    share = load.clients // load.processes
    pool = ProcessPoolExecutor(load.processes)
    some = [questions[n :: load.processes] for n in range(load.processes)]
    runs = [pool.submit(run_clients, server.address, own, clients=share, seconds=seconds) for own in some]
    pool.shutdown(wait=False)
    return runs


def figures(answers: Sequence[Answers], seconds: float, server_cpu_s: float) -> Figures:
    """Summarise a run: throughput, latencies, errors, CPU time of both sides."""
    times = np.array([ms for answer in answers for ms in answer.times])
    statuses = Counter(status for answer in answers for status in answer.statuses)
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    return {
        "requests": len(times),
        "errors": len(times) - statuses[200],
        "per_second": len(times) / seconds,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "server_cpu_ms": server_cpu_s * 1000 / len(times),
        "client_cpu_ms": sum(answer.cpu_s for answer in answers) * 1000 / len(times),
    }


def as_markdown(stored: dict[str, Any]) -> str:
    """Render the results as Markdown."""
    load, steady = stored["load"], stored["steady"]
    series = steady["memory_mb"]
    lines = [
        machine.line(stored["facts"]),
        "",
        f"{load['clients']} clients in {load['processes']} processes, {load['seconds']:g} s a run; medians of the runs "
        "(queries/s of each run in brackets). CPU: milliseconds of processor time for each request.",
        "",
        "| questions | server | queries/s | p50 ms | p95 ms | p99 ms | server CPU | client CPU | MB | errors |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, ways in stored["runs"].items():
        lines += [f"| {name} | {way} | {_cells(runs)} |" for way, runs in ways.items()]
    lines += [
        "",
        f"Default server under the same load for {steady['seconds']:g} s: {steady['requests']:,} requests, "
        f"{steady['errors']} errors, {steady['per_second']:.1f}/s, p99 {steady['p99_ms']:.0f} ms. Its memory without "
        f"mapped files: {series[0]:.0f} MB before, {series[len(series) // 4]:.0f} after a quarter, "
        f"{series[len(series) // 2]:.0f} after half, {series[-1]:.0f} at the end.",
    ]
    return "\n".join(lines) + "\n"


def _cells(runs: Sequence[Figures]) -> str:
    each = "/".join(f"{run['per_second']:.0f}" for run in runs)
    cells = [f"{statistics.median(run[name] for run in runs):.{digits}f}" for name, digits in COLUMNS.items()]
    cells[0] += f" ({each})"
    wrong = f"{sum(run['errors'] for run in runs)} of {sum(run['requests'] for run in runs):,}"
    return " | ".join([*cells, wrong])


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("indexes/default"))
    parser.add_argument("--queries", type=Path, default=Path("corpus/queries.jsonl"))
    parser.add_argument("--documents", type=Path, default=Path("corpus/docs"))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steady", type=float, default=60)
    return parser.parse_args()


if __name__ == "__main__":
    main()
