"""Kill, reopen, compare: the rounds of a crash test."""

from __future__ import annotations

import math
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from rag_search.errors import IndexMissingError
from rag_search.index import open_reader, verify
from tests.crash.script import operation
from tests.crash.worker import log_of, write
from tests.index.world import Item, assert_holds

_LEFTOVER = "belongs to no generation"  # allowed after a kill, gone after the next open
_LONGEST_S = 0.1  # until a kill from outside; some ten operations
_OPEN = 0.8  # part of the writers that are killed after the index is open, or by themselves
_SERVER = get_context("forkserver")  # its forks have all imports, and nothing open
_SERVER.set_forkserver_preload(
    ["tests.crash.worker", "rag_search.index.writer", "rag_search.index.store.recovery", "faiss"]
)


@dataclass
class Tally:
    """kills: by the operation that was under way. acknowledged: operations. kept: killed ones that were committed."""

    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    kept: int = 0


def crash_rounds(folder: Path, *, kills: int, seed: int) -> Tally:
    """Kill a writer `kills` times. Raises AssertionError when the index is not what was acknowledged."""
    chance = random.Random(seed)
    tally, held, first = Tally(), dict[str, Item](), 0
    for _ in range(kills):
        sent = _run_until_killed(folder, seed, first, chance)
        acknowledged = sent[1:]
        for number in acknowledged:
            held = operation(seed, number).applied(held)
        first += len(acknowledged)
        in_flight = operation(seed, first)
        tally.kills[in_flight.kind if sent else "opening"] += 1
        tally.acknowledged += len(acknowledged)
        if not _holds(folder, held):
            held = in_flight.applied(held)  # killed between the commit and its acknowledgement
            assert _holds(folder, held), f"after operation {first} of seed {seed} in {folder}"
            tally.kept, first = tally.kept + 1, first + 1
    return tally


def _run_until_killed(folder: Path, seed: int, first: int, chance: random.Random) -> list[int]:
    """Start a writer, have it killed, and return what it sent: OPEN and the operations it acknowledged."""
    kill_at = chance.randint(1, 120) if chance.random() < 0.5 else 0
    receiver, sender = _SERVER.Pipe(duplex=False)
    writer = _SERVER.Process(target=write, args=(folder, seed, first, kill_at, sender))
    writer.start()
    sender.close()
    sent = _received(receiver, 1) if chance.random() < _OPEN else []
    if not kill_at:
        time.sleep(chance.uniform(0, _LONGEST_S))
        writer.kill()
    sent += _received(receiver)
    writer.join()
    receiver.close()
    call = f"write({folder}, {seed}, {first}, {kill_at})"
    assert writer.exitcode == -signal.SIGKILL, f"{call} ended by itself with {writer.exitcode}, see {log_of(folder)}"
    writer.close()
    return sent


def _received(receiver: Connection, most: float = math.inf) -> list[int]:
    """Return at most so many numbers, fewer when the sender is dead."""
    numbers: list[int] = []
    while len(numbers) < most:
        try:
            numbers.append(receiver.recv())
        except EOFError:
            break
    return numbers


def _holds(folder: Path, expected: dict[str, Item]) -> bool:
    """Whether the index is sound and holds exactly `expected`. Raises AssertionError when it is not sound."""
    try:
        with open_reader(folder) as reader:
            if {path: reader.document(path) for path in reader.documents()} != {
                path: each.document for path, each in expected.items()
            }:
                return False
            assert_holds(reader, expected)
    except IndexMissingError:
        return not expected
    problems = [problem for problem in verify(folder) if problem.what != _LEFTOVER]
    assert not problems, f"{folder}: {problems}"
    return True
