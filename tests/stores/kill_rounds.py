"""Kill writers and servers of a store, step by step, and compare what readers see with what was acknowledged."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from multiprocessing import get_context
from typing import Any

import numpy as np

from rag_search.errors import IndexLockedError, IndexMissingError, StoreUnavailableError
from tests.index.world import Item, assert_holds, random_unit
from tests.stores.harness import StoreUnderTest, operation
from tests.stores.worker import NEVER, Task, write
from tests.support.databases import LiteServer, MilvusServer, PostgresServer
from tests.support.holding_proxy import HoldingProxy

MAX_STEP = 260  # requests of opening an index and of some operations, each counted before and after
SHORT_LEASE_S = 0.4
BACK_S = 300.0  # until a server that was started again answers: Milvus waits for its former sessions to expire
AHEAD = 60  # operations that a writer may be ahead of what it was heard to say
VERIFY_EVERY = 10
PAUSE_S = 0.05  # between two reads

# Share of the rounds, in percent. The writer is killed in all of them; what else happens:
MODES = {
    "writer": 38,  # stopped at a step
    "writer, any moment": 8,  # in the middle of a request, too
    "writer, a second one refused": 6,
    "server": 16,  # the writer meets the dead server before it is killed
    "server and writer": 12,
    "late request": 10,  # it arrives when the next writer has committed
    "lease lost": 10,  # the next writer takes over, then the former one goes on
}


@dataclass
class Tally:
    """What the rounds have seen. kept: committed by a writer that was killed before it could say so."""

    kills: Counter[str] = field(default_factory=Counter)
    places: set[str] = field(default_factory=set)
    acknowledged: int = 0
    kept: int = 0
    reads: int = 0

    def __str__(self) -> str:
        modes = ", ".join(f"{number} {mode}" for mode, number in self.kills.most_common())
        return (
            f"{self.kills.total()} kills ({modes}), at {len(self.places)} places of the code; "
            f"{self.acknowledged} acknowledged operations, none lost; {self.kept} committed but not acknowledged; "
            f"{self.reads} reads, each of one whole state"
        )


class History:
    """What an index holds after each number of operations. Safe for two threads."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._states: list[dict[str, Item]] = [{}]
        self._lock = threading.Lock()

    def after(self, operations: int) -> dict[str, Item]:
        """Return the documents after that many operations."""
        with self._lock:
            while len(self._states) <= operations:
                self._states.append(operation(self._seed, len(self._states) - 1).applied(self._states[-1]))
            return self._states[operations]

    def position(self, texts: Mapping[str, str], least: int) -> int:
        """Return after how many operations, at least `least`, an index holds these texts."""
        for number in range(least, least + AHEAD):
            if {path: each.document.text for path, each in self.after(number).items()} == texts:
                return number
        raise AssertionError(f"no state from operation {least} of seed {self._seed} on: {texts}")


class Deceiving:
    """A vector store that is stale: it leaves out rows that are there, and names rows that are gone."""

    def __init__(self, vectors: Any, seed: int) -> None:
        self._vectors = vectors
        self._random = np.random.default_rng(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vectors, name)

    def search(self, query: Any, top_k: int, *, consistency: str) -> Any:
        ids = self._vectors.search(query, top_k, consistency="Bounded")
        kept = ids[self._random.random(len(ids)) < 0.7]
        return np.concatenate((self._random.integers(1, 10**6, 5), kept))[:top_k]


@dataclass
class Rounds:
    """Kill rounds over one store. vectors: the server that `store.vectors` is on."""

    store: StoreUnderTest
    postgres: PostgresServer
    vectors: LiteServer | MilvusServer | None
    seed: int
    tally: Tally = field(default_factory=Tally)
    done: int = 0  # operations that are known to be committed
    _proxy: HoldingProxy | None = None

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._history = History(self.seed)
        self._processes = get_context("forkserver")
        modules = ["tests.stores.worker", *(["rag_search.index.postgres.milvus"] if self.vectors else [])]
        self._processes.set_forkserver_preload(modules)

    def run(self, kills: int, modes: Sequence[str] = tuple(MODES)) -> Tally:
        """Kill `kills` times. Raises AssertionError when something is lost, or a reader sees what never was."""
        with self._watching():
            for number in range(1, kills + 1):
                mode = self._chance.choices(modes, [MODES[mode] for mode in modes])[0]
                if not self.done:
                    mode = self._chance.choice(["writer", "writer, any moment"])
                self.tally.kills[self._round(mode)] += 1
                self._settle()
                if self.done and (number % VERIFY_EVERY == 0 or number == kills):
                    problems = self.store.verify()
                    assert problems == [], f"round {number} of seed {self.seed}: {problems}"
                    print(f"{number}/{kills} seed {self.seed}: {self.tally}", flush=True)
        return self.tally

    def _round(self, mode: str) -> str:
        """Kill once, and return how."""
        with self._worker(mode) as (process, pipe):
            if mode == "writer, any moment":
                self._hear(pipe, until="open")
                time.sleep(self._chance.uniform(0, 0.5))
            else:
                self._hear(pipe, until="stopped")
            if mode == "writer, a second one refused":
                self._second_is_refused()
            elif mode in ("server", "server and writer"):
                self._kill_server(process, pipe, goes_on=mode == "server")
            elif mode in ("late request", "lease lost"):
                self._take_over(process, pipe)
            process.kill()
            process.join()
            self._hear(pipe, until="end")
        for server in (self.postgres, self.vectors):
            if server is not None and server.process is None:
                server.start()
        if self._proxy is not None and not self._proxy.held_bytes:
            return "writer"  # it needed nothing more of that server
        return mode

    @contextmanager
    def _worker(self, mode: str) -> Iterator[tuple[Any, Any]]:
        """Start a writer: behind a proxy if its requests are to be late, with a short lease if it is to lose it."""
        store, self._proxy = self.store, None
        if mode == "late request":
            store = self._through_proxy()
        stop_at = NEVER if mode == "writer, any moment" else self._chance.randint(1, MAX_STEP)
        lease_s = SHORT_LEASE_S if mode in ("late request", "lease lost") else 600.0
        ours, theirs = self._processes.Pipe()
        task = Task(store, self.seed, self.done, stop_at, lease_s)
        process = self._processes.Process(target=write, args=(task, theirs), daemon=True)
        process.start()
        theirs.close()
        try:
            yield process, ours
        finally:
            process.kill()
            process.join()
            ours.close()
            if self._proxy is not None:
                self._proxy.close()

    def _through_proxy(self) -> StoreUnderTest:
        server = self._one_server()
        self._proxy = HoldingProxy(server.port)
        ports = str(server.port), str(self._proxy.port)
        if server is self.postgres:
            return replace(self.store, url=(self.store.url or "").replace(*ports), answer_s=5.0)
        return replace(self.store, vectors=(self.store.vectors or "").replace(*ports), answer_s=5.0)

    def _one_server(self) -> PostgresServer | LiteServer | MilvusServer:
        return self.postgres if self.vectors is None else self._chance.choice([self.postgres, self.vectors])

    def _hear(self, pipe: Any, *, until: str, seconds: float = 120.0) -> None:
        """Note what a writer says, until it says `until` or has ended; "end": all that it has said."""
        while pipe.poll(0 if until == "end" else seconds):
            try:
                said = pipe.recv()
            except (EOFError, ConnectionResetError):
                return
            if isinstance(said, int):
                assert said == self.done, (said, self.done)
                self.done = said + 1
                self.tally.acknowledged += 1
            elif said[0] == "stopped":
                self.tally.places.add(said[1])
            elif said[0] == "failed":
                assert until != "stopped", said  # nothing has happened to it
                return
            if until == (said if isinstance(said, str) else said[0] if isinstance(said, tuple) else ""):
                return
        assert until in ("end", "failed"), f"a writer did not say {until!r}"

    def _second_is_refused(self) -> None:
        """A stopped writer that holds the lease keeps others out; before it has taken it, they may come and go."""
        with suppress(IndexLockedError, IndexMissingError):
            self.store.writer().close()

    def _kill_server(self, process: Any, pipe: Any, *, goes_on: bool) -> None:
        """Kill a server while the writer waits at its step. One that goes on then fails, unless it needs it no more."""
        server = self._one_server()
        server.kill()
        if goes_on:
            self._continue(process)
            self._hear(pipe, until="failed", seconds=10.0)

    def _take_over(self, process: Any, pipe: Any) -> None:
        """Let the next writer commit while the former one is silent, then let its request arrive."""
        if self._proxy is not None:
            self._proxy.hold()
            self._continue(process)
            self._wait_for_request(self._proxy)
            process.kill()
            process.join()
            self._hear(pipe, until="end")
        time.sleep(SHORT_LEASE_S * 1.5)
        with self._opened() as writer:
            self._settle()
            todo = operation(self.seed, self.done)
            if todo.kind != "rebuild":
                todo.run(writer)
                self.done += 1
                self.tally.acknowledged += 1
            if self._proxy is not None:
                self._proxy.release()
            else:
                self._continue(process)
                self._hear(pipe, until="failed", seconds=3.0)  # one without a lease waits for it
            time.sleep(0.3)
            self._settle()

    @staticmethod
    def _wait_for_request(proxy: HoldingProxy) -> None:
        """Wait until the proxy holds a request; a writer may need the other server for a while, or fail."""
        end = time.monotonic() + 3.0
        while not proxy.held_bytes and time.monotonic() < end:
            time.sleep(0.01)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        end = time.monotonic() + 60
        while True:
            try:
                writer = self.store.writer()
                break
            except IndexLockedError:
                assert time.monotonic() < end
                time.sleep(0.05)
        with writer:
            yield writer

    @staticmethod
    def _continue(process: Any) -> None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGCONT)

    def _settle(self) -> None:
        """Compare the index with what was acknowledged, and count what was committed without a word."""
        end = time.monotonic() + BACK_S
        while True:
            try:
                with self.store.reader() as reader:
                    position = self._history.position(whole_texts(reader), self.done)
                    assert position <= self.done + 1, f"operation {self.done} of seed {self.seed}"
                    assert_holds(reader, self._history.after(position))
                break
            except IndexMissingError:
                assert not self.done
                return
            except StoreUnavailableError:  # a server that is just back
                assert time.monotonic() < end
                time.sleep(0.2)
        self.tally.kept += position - self.done
        self.done = position

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Read all the time, in a thread: every reader sees one state, not older than what was acknowledged before."""
        stop = threading.Event()
        failures: list[BaseException] = []

        def read() -> None:
            for number in count():
                if stop.wait(PAUSE_S):
                    return
                least = self.done
                try:
                    with self.store.reader() as reader:
                        if self.vectors is not None and number % 2:
                            reader._vectors = Deceiving(reader._vectors, number)
                        texts = whole_texts(reader)
                    self._history.position(texts, least)
                    self.tally.reads += 1
                except (IndexMissingError, StoreUnavailableError):
                    continue
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


def whole_texts(reader: Any) -> dict[str, str]:
    """Return the text of every document. Raises AssertionError for half a document, or for a hit that is not there."""
    texts = {}
    for path in reader.documents():
        chunks = reader.document_chunks(path)
        texts[path] = reader.document(path).text
        assert "".join(chunk.text for chunk in chunks) == texts[path], path
    ids, _ = reader.search_dense(random_unit(1), 30)
    hits = reader.chunks(ids[ids >= 0].tolist())
    assert len({hit.chunk_id for hit in hits}) == len(hits)
    assert all(hit.text in texts[hit.path] for hit in hits)
    return texts
