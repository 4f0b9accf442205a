"""How long each stage of a query takes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class Stopwatch:
    """Milliseconds of each stage and of all together. The lexical search runs beside embedding and dense search, so
    the whole may take less than the sum."""

    def __init__(self, shared: Mapping[str, float]) -> None:
        """shared: milliseconds of stages that are over, of one query or of many together."""
        self._start = time.perf_counter() - sum(shared.values()) / 1000
        self._stages = dict(shared)

    def note(self, stage: str, ms: float | None) -> None:
        """Add a stage that was measured elsewhere; None: it did not run."""
        if ms is not None:
            self._stages[stage] = ms

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._stages[stage] = (time.perf_counter() - start) * 1000

    def finish(self) -> dict[str, float]:
        return {**self._stages, "total": (time.perf_counter() - self._start) * 1000}
