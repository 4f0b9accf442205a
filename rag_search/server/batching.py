"""Requests that arrive at the same time share one call of the model.

A worker takes its share of everything that waits, up to a maximum, and runs it in a thread; what each request gets is
handed over as soon as it is there. Nothing is delayed to make batches larger: while one batch runs, the next one
gathers by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from rag_search.errors import EngineError, RagSearchError, ServerError

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


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    """expiry: gives the request up if no worker has taken it by then."""

    item: Item
    future: asyncio.Future[Answer]
    expiry: asyncio.TimerHandle


class Batcher(Generic[Item, Answer]):
    """`submit` one request, get its answer; `run` answers many, in order, each as soon as it can.

    Used by one event loop. The workers' threads take from the queue themselves: a way through the loop between two
    batches would leave a core idle for as long as the loop has other things to do.
    """

    def __init__(self, run: Callable[[Sequence[Item]], Iterable[Answer]], limits: Limits) -> None:
        self._run = run
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="model")
        self._lock = threading.Lock()  # guards everything below
        self._queue: deque[_Waiting[Item, Answer]] = deque()
        self._working = 0
        self.batches = 0
        self.batched = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    async def submit(self, item: Item) -> Answer:
        """The answer. Raises BusyError, WaitedTooLongError and whatever `run` raises for this item."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._lock:
            if len(self._queue) >= self._limits.max_queue:
                raise BusyError(f"{len(self._queue)} requests are waiting already.", remedy="Try again later.")
            waiting = _Waiting(item, future, loop.call_later(self._limits.queue_timeout_s, self._expire, future))
            self._queue.append(waiting)
            idle = self._working < self._limits.workers
            self._working += idle
        if idle:
            self._pool.submit(self._work, loop)
        try:
            return await future
        finally:
            waiting.expiry.cancel()
            if future.cancelled():
                self._forget(future)

    async def close(self) -> None:
        """Wait for what runs and what waits, then stop the threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)

    def _expire(self, future: asyncio.Future[Answer]) -> None:
        if self._forget(future):
            limit = f"{self._limits.queue_timeout_s:g} s"
            _give(future, WaitedTooLongError(f"the request waited longer than {limit}.", remedy="Try again later."))

    def _forget(self, future: asyncio.Future[Answer]) -> bool:
        """Take a request out of the queue; False when a worker has it already."""
        with self._lock:
            before = len(self._queue)
            self._queue = deque(waiting for waiting in self._queue if waiting.future is not future)
            return len(self._queue) < before

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a worker's thread, until nothing waits."""
        while batch := self._take():
            self._answer(loop, batch)

    def _take(self) -> list[_Waiting[Item, Answer]]:
        """The longest waiting ones; not all, when another worker will soon be free for the rest."""
        with self._lock:
            share = -(-len(self._queue) // self._limits.workers)
            batch = [self._queue.popleft() for _ in range(min(share, self._limits.max_batch))]
            self.batches += bool(batch)
            self.batched += len(batch)
            self._working -= not batch  # under the lock: whoever comes next sees that a worker is missing
            return batch

    def _answer(self, loop: asyncio.AbstractEventLoop, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        """Hand over the answers of a batch, in a worker's thread. When it fails, each request that has no answer yet
        is run alone, so that a bad one costs no other its answer."""
        waiting = iter(batch)
        try:
            for answer in self._run([each.item for each in batch]):
                loop.call_soon_threadsafe(_give, next(waiting).future, answer)
        except RagSearchError as error:
            self._after(error, loop, list(waiting), alone=len(batch) == 1)
        except Exception as error:  # noqa: BLE001 - a worker must live on; the error reaches the requests that wait
            self._after(error, loop, list(waiting), alone=True)
        else:
            self._after(EngineError("the engine gave no answer."), loop, list(waiting), alone=True)

    def _after(
        self,
        error: Exception,
        loop: asyncio.AbstractEventLoop,
        unanswered: Sequence[_Waiting[Item, Answer]],
        *,
        alone: bool,
    ) -> None:
        for each in unanswered:
            if alone:
                loop.call_soon_threadsafe(_give, each.future, error)
            else:
                self._answer(loop, [each])


def _give(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # nobody waits for it any more
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
