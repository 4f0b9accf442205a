"""Faults in the life of a server: killed, stopped and re-fed under load; an index that comes, goes, or changes."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.raw import GONE, Address, ask, request, status_of
from tests.faults.table import Row, row
from tests.support.served import Served, serving

QUESTIONS = ("redis connection timeout", "pod keeps restarting", "如何解决Redis连接超时", "kafka consumer lag")


@dataclass
class Load:
    """Clients that ask until they are told to stop. answers: the status of each request by its id, GONE without one.
    refused: times that nobody listened."""

    answers: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def ask(self, address: Address, client: int) -> None:
        for number in itertools.count():
            if self.stop.is_set():
                return
            name = f"{client}-{number}"
            question = {"query": f"{QUESTIONS[number % len(QUESTIONS)]} {name}"}
            try:
                self.answers[name] = status_of(address, request("/v1/search", question, headers={"x-request-id": name}))
            except ConnectionRefusedError:
                self.refused += 1
                time.sleep(0.01)
            except ConnectionResetError:
                self.answers[name] = GONE

    def taken(self, log: Path) -> list[int]:
        """The answers of requests that the server began to work on, as its log says."""
        known = {json.loads(line).get("id") for line in log.read_text("utf-8").split("\n") if line}
        return [status for name, status in self.answers.items() if status != GONE or name in known]


@contextmanager
def under_load(address: Address, *, clients: int = 8) -> Iterator[Load]:
    load = Load()
    threads = [threading.Thread(target=load.ask, args=(address, n)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop.set()
        for thread in threads:
            thread.join()


def command(index: Path, *arguments: str) -> None:
    """A `ragsearch` command over the index; it must succeed."""
    run = [sys.executable, "-m", "rag_search.cli.app", arguments[0], "--index", f"{index}/", *arguments[1:]]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(arguments)}: {done.stderr}"


def killed_under_load(index: Path, log: Path, *, kills: int) -> Row:
    """kill -9, again and again; the index is sound and the next server answers each time."""
    after = []
    for _ in range(kills):
        with serving(index, log=log) as server, under_load(server.address):
            time.sleep(0.5)
            server.process.kill()
            server.process.wait()
        command(index, "verify")
        with serving(index, log=log) as server:
            after.append(_search(server))
    return row("kill -9 under load: the next server, index verified", {200}, after)


def stopped_under_load(index: Path, log: Path) -> Row:
    """SIGTERM: every request that was taken is answered, later ones are refused, and the exit code is 0."""
    with serving(index, log=log) as server, under_load(server.address) as load:
        time.sleep(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        time.sleep(0.2)
    assert load.refused
    return row("SIGTERM under load: requests that were taken", {200}, load.taken(log))


def fed_under_load(index: Path, documents: Path, log: Path, *, times: int) -> list[Row]:
    """Ingest again and again under load: no failed query, and the new document is found at once, without restart."""
    found = []
    with serving(index, log=log) as server, under_load(server.address) as load:
        for number in range(times):
            word = f"zyzzyva{number}"
            (documents / f"{word}.md").write_text(f"# {word}\n\nThe {word} beetle eats palm leaves.\n", "utf-8")
            command(index, "ingest", str(documents))
            found.append(200 if word in _first_path(server, f"{word} beetle") else GONE)
    return [
        row("queries while documents are ingested", {200}, load.answers.values()),
        row("the new document is the first hit right after its ingest", {200}, found),
    ]


def index_comes_and_goes(index: Path, documents: Path, log: Path) -> list[Row]:
    """No index yet, then one; deleted; rebuilt by another embedder."""
    rows = []
    with serving(index, log=log) as server:
        rows.append(row("no index yet", {503}, [_search(server) for _ in range(5)]))
        command(index, "ingest", str(documents))
        rows.append(row("then it is ingested", {200}, [_search(server) for _ in range(5)]))
        moved = index.rename(index.with_name("moved"))
        rows.append(row("index deleted while it is served", {200}, [_search(server) for _ in range(5)]))
        moved.rename(index)
        _rebuild_by_another(index, documents)
        rows.append(row("index rebuilt by another embedder", {200}, [_search(server) for _ in range(5)]))
        assert any("Restart the server" in note for note in _answer(server, "redis")["notes"])
    shutil.rmtree(index)
    return rows


def _rebuild_by_another(index: Path, documents: Path) -> None:
    run = [sys.executable, "-m", "rag_search.cli.app", "ingest", "--index", f"{index}/", "--rebuild", str(documents)]
    environment = {**os.environ, "RAGSEARCH_EMBEDDER__MODEL": "zero-shot"}
    subprocess.run(run, check=True, capture_output=True, env=environment)


def _search(server: Served) -> int:
    return status_of(server.address, request("/v1/search", {"query": "redis timeout"}))


def _answer(server: Served, question: str) -> dict[str, list[Any]]:
    reply = ask(server.address, request("/v1/search", {"query": question, "min_score": 0}))
    assert reply.status == 200
    answer: dict[str, list[Any]] = json.loads(reply.body)
    return answer


def _first_path(server: Served, question: str) -> str:
    hits = _answer(server, question)["hits"]
    return str(hits[0]["path"]) if hits else ""
