"""Ask a server under test: clients that use little CPU, since they share its cores, and questions for them."""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answers:
    """What the clients of one process saw: status and milliseconds of each request, and the CPU time of asking."""

    statuses: list[int]
    times: list[float]
    cpu_s: float


def run_clients(address: tuple[str, int], questions: Sequence[str], *, clients: int, seconds: float) -> Answers:
    """Keep `clients` connections open, each with its own thread and every `clients`-th question."""
    statuses: list[int] = []
    times: list[float] = []
    cpu, deadline = time.process_time(), time.monotonic() + seconds

    def ask(first: int) -> None:
        """Ask every `clients`-th question from `first` on until the time is up."""
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
    """Return the bytes of one search request."""
    body = json.dumps({"query": question}).encode()
    lines = ["POST /v1/search HTTP/1.1", "host: 127.0.0.1", "content-type: application/json"]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def read_status(connection: socket.socket) -> int:
    """Read one whole response and return its status."""
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
    """Return the questions of the corpus."""
    return [json.loads(line)["text"] for line in queries.read_text("utf-8").split("\n") if line]


def new_questions(documents: Path, *, seed: int = 1) -> list[str]:
    """Return sentences of the documents, cut to the length of a question, each once, in a fixed random order."""
    found: dict[str, None] = {}
    for path in sorted(documents.rglob("*.md")):
        for sentence in re.split(r"[。！？.!?;；:：|\n]", path.read_text("utf-8")):
            text = " ".join(re.sub(r"[`*#>\[\]()|-]", " ", sentence).split())[:100]
            if len(text.encode()) >= 36:  # a dozen Chinese characters, or half a dozen English words
                found[text] = None
    questions = list(found)
    random.Random(seed).shuffle(questions)
    return questions
