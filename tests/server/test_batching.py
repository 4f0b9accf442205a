"""The batcher against one by one; queue limits; clients that go away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from rag_search.errors import EngineError, InputError
from rag_search.server.batching import Batcher, BusyError, Limits, WaitedTooLongError


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


def test_waiting_items_share_a_batch() -> None:
    """Waiting items are answered together, and a bad item alone fails."""
    double = Doubler()

    async def scenario() -> list[object]:
        batcher = Batcher(double, Limits(workers=1, max_batch=8))
        first = asyncio.create_task(batcher.submit(0))
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(batcher.submit(item)) for item in (1, 13, 3)]
        gone = asyncio.create_task(batcher.submit(99))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        assert batcher.waiting == 3  # who goes away makes room
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
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await batcher.submit(2)
        with pytest.raises(WaitedTooLongError):  # although the worker never came back to look
            await second
        assert batcher.waiting == 0
        double.go.set()
        assert await first == 0
        assert await batcher.submit(4) == 8
        await batcher.close()

    asyncio.run(scenario())


def test_an_answer_does_not_wait_for_the_rest_of_its_batch() -> None:
    full, go = threading.Event(), threading.Event()
    calls: list[list[int]] = []

    def run(items: Sequence[int]) -> Iterator[int]:
        calls.append(list(items))
        for item in items:
            if item == 0:
                assert full.wait(5)
            if item == 2:
                assert go.wait(5)
            if item == 3:
                raise InputError("3")
            yield 2 * item

    async def scenario() -> list[object]:
        batcher = Batcher(run, Limits(workers=1))
        tasks = [asyncio.create_task(batcher.submit(item)) for item in (0, 1, 2, 3, 4)]
        await asyncio.sleep(0.05)
        full.set()
        early = [await tasks[0], await tasks[1]]
        assert not any(task.done() for task in tasks[2:])
        go.set()
        late = await asyncio.gather(*tasks[2:], return_exceptions=True)
        await batcher.close()
        return [*early, *late]

    zero, one, two, three, four = asyncio.run(scenario())
    assert (zero, one, two, four) == (0, 2, 4, 8)
    assert isinstance(three, InputError)
    assert calls == [[0], [1, 2, 3, 4], [3], [4]]


def test_workers_share_what_waits() -> None:
    double = Doubler()

    async def scenario() -> None:
        batcher = Batcher(double, Limits(workers=2, max_batch=3))
        tasks = [asyncio.create_task(batcher.submit(item)) for item in range(12)]
        await asyncio.sleep(0.05)
        assert batcher.waiting == 10
        double.go.set()
        assert await asyncio.gather(*tasks) == [2 * item for item in range(12)]
        await batcher.close()
        assert (batcher.batches, batcher.batched) == (7, 12)

    asyncio.run(scenario())
    assert sorted(map(tuple, double.calls)) == [(0,), (1,), (2, 3, 4), (5, 6, 7), (8, 9), (10,), (11,)]


def test_too_few_answers_are_an_error_of_those_without() -> None:
    full = threading.Event()

    def run(items: Sequence[int]) -> Sequence[int]:
        assert full.wait(5)
        return items[:1]

    async def scenario() -> list[object]:
        batcher = Batcher(run, Limits(workers=1))
        tasks = [asyncio.create_task(batcher.submit(item)) for item in (4, 5, 6)]
        await asyncio.sleep(0.05)
        full.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await batcher.close()
        return answers

    four, five, nothing = asyncio.run(scenario())
    assert (four, five) == (4, 5)
    assert isinstance(nothing, EngineError)


def test_many_requests_from_idle_to_idle_again() -> None:
    """No request is forgotten between a worker that stops and one that should start."""

    async def scenario() -> None:
        batcher = Batcher(lambda items: [2 * item for item in items], Limits(workers=2, max_batch=4))
        for first in range(0, 3000, 3):
            answers = await asyncio.gather(*(batcher.submit(item) for item in range(first, first + 3)))
            assert answers == [2 * item for item in range(first, first + 3)]
        await batcher.close()

    asyncio.run(asyncio.wait_for(scenario(), 60))
