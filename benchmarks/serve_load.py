"""Load on `ragsearch serve`: clients in several processes, each asks one question after the other.

    python benchmarks/serve_load.py --index indexes/default [--clients 32] [--processes 4] [--seconds 8] [--rounds 3]

Every way of serving gets a server of its own for each run, on a free port of this machine, and the runs take turns, so
that a machine whose speed drifts is fair to all. Two loads: `new` questions are never repeated (sentences of the
documents); the 130 `repeated` ones of the corpus come again and again, so the encoder's kept queries answer most. The
clients need processor time too, on the same cores: both sides' is in the table. Everything is bounded and ends by
itself. Results: benchmarks/results/serve_load.md and .json.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import numpy as np
from served import Served, serving

MAX_SECONDS, MAX_CLIENTS = 120, 256
RESULTS = Path(__file__).with_name("results")
WAYS = {
    "one by one": ["--workers", "1", "--max-batch", "1"],
    "two at a time, no batches": ["--workers", "2", "--max-batch", "1"],
    "default": [],
}


@dataclass(frozen=True, slots=True)
class Load:
    """clients: connections, spread over processes. seconds: how long each asks."""

    clients: int
    processes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Answers:
    """What one process of clients saw: a status and milliseconds per request, and the processor time it took."""

    statuses: list[int]
    times: list[float]
    cpu_s: float


def main() -> None:
    arguments = _parse_arguments()
    load = Load(min(arguments.clients, MAX_CLIENTS), arguments.processes, min(arguments.seconds, MAX_SECONDS))
    questions = {"new": new_questions(arguments.documents), "repeated": repeated_questions(arguments.queries)}
    runs: list[dict[str, Any]] = []
    for number in range(arguments.rounds):
        for name in arguments.loads:
            for way in arguments.ways:
                runs.append({"load": name, "way": way, "round": number} | one_run(arguments.index, way, questions[name], load))
                print(runs[-1], flush=True)


def one_run(index: Path, way: str, questions: Sequence[str], load: Load) -> dict[str, Any]:
    """Put a fresh server under load."""
    with tempfile.TemporaryDirectory() as folder, serving(index, *WAYS[way], log=Path(folder) / "log.jsonl") as server:
        run_clients(server.address, questions[-8:], clients=1, seconds=0.5)  # the index is opened
        cpu = server.cpu_s()
        start = time.perf_counter()
        answers = put_under_load(server, questions, load)
        seconds = time.perf_counter() - start
        return figures(answers, load) | {
            "server_cpu_ms": (server.cpu_s() - cpu) * 1000 / max(1, sum(len(a.times) for a in answers)),
            "memory_mb": server.memory_mb(),
        }


def put_under_load(server: Served, questions: Sequence[str], load: Load) -> list[Answers]:
    """Answers of each process; every process asks questions of its own."""
    share = load.clients // load.processes
    with ProcessPoolExecutor(load.processes) as pool:
        runs = [
            pool.submit(run_clients, server.address, questions[n :: load.processes], clients=share, seconds=load.seconds)
            for n in range(load.processes)
        ]
        return [run.result() for run in runs]


def figures(answers: Sequence[Answers], load: Load) -> dict[str, Any]:
    times = np.array([ms for answer in answers for ms in answer.times])
    statuses = Counter(status for answer in answers for status in answer.statuses)
    p50, p95, p99 = np.percentile(times, [50, 95, 99]).tolist()
    return {
        "requests": len(times),
        "per_second": len(times) / load.seconds,
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "errors": len(times) - statuses[200],
        "client_cpu_ms": sum(answer.cpu_s for answer in answers) * 1000 / max(1, len(times)),
    }


def run_clients(address: tuple[str, int], questions: Sequence[str], *, clients: int, seconds: float) -> Answers:
    """`clients` connections, each with a thread and every `clients`-th question."""
    statuses: list[int] = []
    times: list[float] = []
    cpu, deadline = time.process_time(), time.monotonic() + seconds

    def ask(first: int) -> None:
        number = first
        with socket.create_connection(address, timeout=60) as connection:
            while time.monotonic() < deadline:
                request = search_request(questions[number % len(questions)])
                start = time.perf_counter()
                connection.sendall(request)
                statuses.append(read_status(connection))
                times.append((time.perf_counter() - start) * 1000)
                number += clients

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Answers(statuses, times, time.process_time() - cpu)


def search_request(question: str) -> bytes:
    body = json.dumps({"query": question}).encode()
    head = f"POST /v1/search HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def read_status(connection: socket.socket) -> int:
    """Read one whole response."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    (length,) = re.findall(rb"(?i)content-length: (\d+)", head)
    missing = int(length) - len(body)
    while missing > 0:
        missing -= len(_some(connection))
    return int(head[9:12])


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionError("the server hung up")
    return data


def repeated_questions(queries: Path) -> list[str]:
    return [json.loads(line)["text"] for line in queries.read_text("utf-8").split("\n") if line]


def new_questions(documents: Path, *, seed: int = 1) -> list[str]:
    """Sentences of the documents, cut to the length of a question, each once, in a fixed random order."""
    found: dict[str, None] = {}
    for path in sorted(documents.rglob("*.md")):
        for sentence in re.split(r"[。！？.!?;；:：|\n]", path.read_text("utf-8")):
            text = " ".join(re.sub(r"[`*#>\[\]()|-]", " ", sentence).split())[:100]
            if len(text.encode()) >= 36:  # a dozen Chinese characters, or half a dozen English words
                found[text] = None
    questions = list(found)
    random.Random(seed).shuffle(questions)
    return questions


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--index", type=Path, default=Path("indexes/default"))
    parser.add_argument("--queries", type=Path, default=Path("corpus/queries.jsonl"))
    parser.add_argument("--documents", type=Path, default=Path("corpus/docs"))
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(WAYS))
    parser.add_argument("--loads", type=lambda text: text.split(","), default=["new", "repeated"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
