"""Kill, reopen, compare: the rounds of a crash test."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rag_search.errors import IndexMissingError
from rag_search.index import open_reader, verify
from tests.crash.script import operation
from tests.index.world import Item, assert_holds

_LEFTOVER = "belongs to no generation"  # allowed after a kill, gone after the next open


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
        acknowledged = _run_until_killed(folder, seed, first, chance)
        for number in acknowledged:
            held = operation(seed, number).applied(held)
        first += len(acknowledged)
        in_flight = operation(seed, first)
        tally.kills[in_flight.kind] += 1
        tally.acknowledged += len(acknowledged)
        if not _holds(folder, held):
            held = in_flight.applied(held)  # killed between the commit and its acknowledgement
            assert _holds(folder, held), f"after operation {first} of seed {seed} in {folder}"
            tally.kept, first = tally.kept + 1, first + 1
    return tally


def _run_until_killed(folder: Path, seed: int, first: int, chance: random.Random) -> list[int]:
    """Start a writer, have it killed, and return the operations it acknowledged."""
    kill_at = chance.randint(1, 120) if chance.random() < 0.5 else 0
    command = [sys.executable, "-m", "tests.crash.worker", str(folder), str(seed), str(first), str(kill_at)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
        assert worker.stdout is not None
        lines = [worker.stdout.readline()]
        if not kill_at:
            time.sleep(chance.uniform(0, 0.4))
            worker.kill()
        lines += worker.stdout.readlines()
    assert worker.returncode == -9, f"the writer ended by itself with {worker.returncode}: {' '.join(command)}"
    return [int(line) for line in lines if line.endswith("\n") and line != "open\n"]


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
