"""Whether the CPU time of a call grows faster than its input, on a machine that does other work, too."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ALPHABET = "aA1.,;:!?-_=+*/\\|`~#@&%$^'\"()[]{}<> \t\n\r。，“」连é\u0301ー한\u200b\u2028\x1b\x00🙂"
SCREEN, SCREEN_S = 4_000, 0.004  # at 1 us a character nothing is quadratic, whatever its constant
SMALL, FACTOR = 4_000, 8
BOUND = 3  # times FACTOR; quadratic time is FACTOR times FACTOR
ATTEMPTS = 3
SEED = int(os.environ.get("RAGSEARCH_GROWTH_SEED", "1"))  # of the samples: a commit fails by what it changed
PATIENCE_S = 5.0  # of one call; what goes back at every character would not end


class TooSlowError(Exception):
    """A call that did not end within PATIENCE_S of CPU time."""


def growth(call: Callable[[str], object], make: Callable[[int], str]) -> str:
    """Return how the time of `call(make(size))` grows if that is faster than linear, "" if it is not.

    CPU time, the least of several attempts: other work on the machine makes one attempt slower, and none faster.
    """
    try:
        if _seconds(call, make(SCREEN // 16)) > SCREEN_S * 16 and SCREEN:  # before a size that may never end
            return f"{SCREEN // 16} characters take more than {SCREEN_S * 16:.2f} s"
        if _seconds(call, make(SCREEN)) < SCREEN_S:
            return ""
        ratios = []
        for _ in range(ATTEMPTS):
            small, large = (_seconds(call, make(size)) for size in (SMALL, SMALL * FACTOR))
            ratios.append(large / max(small, 1e-4))
            if ratios[-1] <= BOUND * FACTOR:
                return ""
    except TooSlowError:
        return f"a call took more than {PATIENCE_S:.0f} s of CPU time"
    return f"{FACTOR} times the characters take {min(ratios):.0f} times the time"


def _seconds(call: Callable[[str], object], text: str) -> float:
    """Return the CPU time of a call; expected errors of a reader are part of it."""
    gc.collect(0)
    gc.disable()
    try:
        with _patience():
            start = time.thread_time()
            call(text)
            return time.thread_time() - start
    finally:
        gc.enable()


@contextmanager
def _patience() -> Iterator[None]:
    """Raise TooSlowError in the block after PATIENCE_S of CPU time; `re` looks for signals, too."""

    def stop(_: int, __: FrameType | None) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
