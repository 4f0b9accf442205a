"""Load on a running `ragsearch serve`: clients in several processes, each asks one question after the other.

    python benchmarks/serve_load.py --url http://127.0.0.1:7860 --clients 32 --processes 4 --seconds 10

Only loopback addresses; the run ends by itself.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

MAX_SECONDS = 120


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    parser.add_argument("--queries", type=Path, default=Path("corpus/queries.jsonl"))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    address = urlsplit(args.url)
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        parser.error("only a server on this machine is put under load")
    queries = [json.loads(line)["text"] for line in args.queries.read_text("utf-8").split("\n") if line]
    seconds = min(args.seconds, MAX_SECONDS)
    per_process = args.clients // args.processes
    with ProcessPoolExecutor(args.processes) as pool:
        runs = [
            pool.submit(run_clients, (str(address.hostname), address.port or 80), queries[n:] + queries[:n],
                        clients=per_process, seconds=seconds)
            for n in range(args.processes)
        ]  # fmt: skip
        answers = [answer for run in runs for answer in run.result()]
    times = np.array([ms for _, ms in answers])
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    print(
        f"{per_process * args.processes} clients, {args.processes} processes, "
        f"{len(answers)} requests in {seconds:.0f} s: "
        f"{len(answers) / seconds:.1f}/s, p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms, "
        f"status {dict(Counter(status for status, _ in answers))}"
    )


def run_clients(
    address: tuple[str, int], queries: list[str], *, clients: int, seconds: float
) -> list[tuple[int, float]]:
    """Status and milliseconds of every request of `clients` threads."""
    answers: list[tuple[int, float]] = []
    deadline = time.monotonic() + seconds

    def ask(first: int) -> None:
        connection = http.client.HTTPConnection(*address, timeout=60)
        number = first
        while time.monotonic() < deadline:
            body = json.dumps({"query": queries[number % len(queries)]})
            start = time.perf_counter()
            connection.request("POST", "/v1/search", body, {"content-type": "application/json"})
            response = connection.getresponse()
            response.read()
            answers.append((response.status, (time.perf_counter() - start) * 1000))
            number += clients
        connection.close()

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


if __name__ == "__main__":
    main()
