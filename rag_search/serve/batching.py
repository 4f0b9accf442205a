"""Requests that arrive at the same time share one call of the model.

A worker takes everything that waits, up to a maximum, and runs it in a thread. Nothing is delayed to make batches
larger: while one batch runs, the next one gathers by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from rag_search.errors import RagSearchError, ServerError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class BusyError(ServerError):
    """The queue is full."""


class WaitedTooLongError(ServerError):
    """The request waited longer than it may."""


@dataclass(frozen=True, slots=True)
class Limits:
    """workers: batches at the same time. max_batch: requests in one. max_queue: requests that wait."""

    workers: int
    max_batch: int = 32
    max_queue: int = 256
    queue_timeout_s: float = 30.0


@dataclass(slots=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    since: float
    future: asyncio.Future[Answer]


class Batcher(Generic[Item, Answer]):
    """`submit` one request, get its answer; `run` answers many at once, in order."""

    def __init__(self, run: Callable[[Sequence[Item]], Sequence[Answer]], limits: Limits) -> None:
        self._run = run
        self._limits = limits
        self._queue: deque[_Waiting[Item, Answer]] = deque()
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="model")
        self._tasks: set[asyncio.Task[None]] = set()
        self._working = 0
        self.batches = 0
        self.batched = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    async def submit(self, item: Item) -> Answer:
        """The answer. Raises BusyError, WaitedTooLongError and whatever `run` raises for this item."""
        if len(self._queue) >= self._limits.max_queue:
            raise BusyError(f"{len(self._queue)} requests are waiting already.", remedy="Try again later.")
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Item, Answer] = _Waiting(item, time.monotonic(), loop.create_future())
        self._queue.append(waiting)
        self._start_worker()
        return await waiting.future  # a client that goes away cancels it, and the worker skips it

    async def close(self) -> None:
        """Wait for what runs and what waits, then stop the threads."""
        while self._tasks:
            await asyncio.gather(*self._tasks)
        self._pool.shutdown()

    def _start_worker(self) -> None:
        if self._working < self._limits.workers:
            self._working += 1
            task = asyncio.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while batch := self._take():
            self.batches += 1
            self.batched += len(batch)
            answers = await loop.run_in_executor(self._pool, self._answer, [waiting.item for waiting in batch])
            for waiting, answer in zip(batch, answers, strict=True):
                with contextlib.suppress(asyncio.InvalidStateError):  # cancelled meanwhile
                    if isinstance(answer, Exception):
                        waiting.future.set_exception(answer)
                    else:
                        waiting.future.set_result(answer)
        self._working -= 1  # no await since the look at the empty queue: nobody can slip in between

    def _take(self) -> list[_Waiting[Item, Answer]]:
        batch: list[_Waiting[Item, Answer]] = []
        while self._queue and len(batch) < self._limits.max_batch:
            waiting = self._queue.popleft()
            if waiting.future.cancelled():
                continue
            waited = time.monotonic() - waiting.since
            if waited > self._limits.queue_timeout_s:
                waiting.future.set_exception(WaitedTooLongError(f"the request waited {waited:.0f} s."))
            else:
                batch.append(waiting)
        return batch

    def _answer(self, items: Sequence[Item]) -> list[Answer | Exception]:
        """Answers of a batch; when it fails each item alone, so that a bad request costs no other its answer."""
        try:
            return list(self._run(items))
        except RagSearchError as error:
            if len(items) == 1:
                return [error]
        except Exception as error:  # noqa: BLE001 - a worker must live on; the error reaches the request that waits
            return [error] * len(items)
        return [answer for item in items for answer in self._answer([item])]
