"""Measure the time of each stage of a query."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Milliseconds of each stage and of the whole query.

    In a large index the lexical search runs beside embedding and dense search: the whole may take less than the sum.

    Args:
        shared: milliseconds of stages that are over, of this query or of several together.
        start: `time.perf_counter()` when the work on this query alone began; None: now.
    """

    def __init__(self, shared: Mapping[str, float], *, start: float | None = None) -> None:
        self._start = (time.perf_counter() if start is None else start) - sum(shared.values()) / 1000
        self._stages = dict(shared)

    def note(self, stage: str, ms: float | None) -> None:
        """Add a stage that was measured elsewhere; None if it did not run."""
        if ms is not None:
            self._stages[stage] = ms

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Measure a stage in a `with` block."""
        start = time.perf_counter()
        yield
        self._stages[stage] = (time.perf_counter() - start) * 1000

    def finish(self) -> dict[str, float]:
        """Return the milliseconds of all stages, and their `total` until now."""
        return {**self._stages, "total": (time.perf_counter() - self._start) * 1000}
