"""Run the targets, and say what a target did that it must not."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from rag_search.documents.formats import DecodingError
from rag_search.errors import RagSearchError
from tests.fuzz.targets import TARGETS

EXPECTED = (RagSearchError, DecodingError, ValueError, KeyError)  # the last two: of `parse_json` and `read_record`
BOUND_S = 5.0  # CPU time of one input


@dataclass(frozen=True)
class Finding:
    """An input that a target did not survive; `fuzz(target, 1, seed=seed, first=number)` makes it again."""

    target: str
    seed: int
    number: int
    what: str


def fuzz(target: str, count: int, *, seed: int, first: int = 0) -> list[Finding]:
    """Give a target `count` inputs, which follow from seed and number."""
    found: list[Finding] = []
    allowed = EXPECTED if target in ("replies", "records") else EXPECTED[:2]
    for number in range(first, first + count):
        start = time.thread_time()
        try:
            TARGETS[target](random.Random(f"{seed} {target} {number}"))
        except allowed:
            pass
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            found.append(Finding(target, seed, number, f"{type(error).__name__}: {str(error)[:200]}"))
        if (took := time.thread_time() - start) > BOUND_S:
            found.append(Finding(target, seed, number, f"{took:.1f} s"))
    return found
