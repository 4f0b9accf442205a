"""The batcher against one by one; queue limits; clients that go away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from rag_search.errors import InputError
from rag_search.serve.batching import Batcher, BusyError, Limits, WaitedTooLongError


class Doubler:
    """Doubles numbers; 13 is an error. The first call waits until `go` is set."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.go = threading.Event()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        assert self.go.wait(5)
        if 13 in items:
            raise InputError("13")
        return [2 * item for item in items]


def test_what_waits_is_answered_together_and_a_bad_item_alone_fails() -> None:
    double = Doubler()

    async def scenario() -> list[object]:
        batcher = Batcher(double, Limits(workers=1, max_batch=8))
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batcher.submit(item)) for item in (1, 13, 3)]
        gone = asyncio.create_task(batcher.submit(99))
        await asyncio.sleep(0)
        gone.cancel()
        double.go.set()
        answers = await asyncio.gather(first, *rest, return_exceptions=True)
        await batcher.close()
        return answers

    zero, one, bad, three = asyncio.run(scenario())
    assert (zero, one, three) == (0, 2, 6)
    assert isinstance(bad, InputError)
    assert double.calls[:2] == [[0], [1, 13, 3]]


def test_a_full_queue_and_a_long_wait_are_refused() -> None:
    double = Doubler()

    async def scenario() -> None:
        batcher = Batcher(double, Limits(workers=1, max_batch=1, max_queue=1, queue_timeout_s=0.05))
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.sleep(0.02)
        second = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.1)
        with pytest.raises(BusyError):
            await batcher.submit(2)
        double.go.set()
        assert await first == 0
        with pytest.raises(WaitedTooLongError):
            await second
        assert await batcher.submit(4) == 8
        await batcher.close()

    asyncio.run(scenario())
