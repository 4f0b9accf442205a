"""Let requests that arrive at the same time share one model call.

A worker takes its share of the waiting requests, up to a maximum, and runs them in a thread. Each answer is delivered
as soon as it is ready. Requests are never delayed to make batches larger: while one batch runs, the next one collects.
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
    """The request waited longer than the queue timeout."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a Batcher.

    workers: batches at the same time. max_batch: requests in one batch. max_queue: requests that wait.
    """

    workers: int
    max_batch: int = 32
    max_queue: int = 256
    queue_timeout_s: float = 30.0


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    """A request in the queue.

    expiry: timer that fails the request if no worker has taken it by then.
    """

    item: Item
    future: asyncio.Future[Answer]
    expiry: asyncio.TimerHandle


class Batcher(Generic[Item, Answer]):
    """Collects requests from one event loop and answers them in batches by worker threads.

    run: answers a batch in order and yields each answer as soon as it is ready. The worker threads take from the queue
    themselves: a detour through the event loop between two batches would leave a core idle while the loop is busy.
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
        """The number of requests in the queue."""
        return len(self._queue)

    async def submit(self, item: Item) -> Answer:
        """Return the answer. Raises BusyError, WaitedTooLongError, and what `run` raises for this item."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._lock:
            if len(self._queue) >= self._limits.max_queue:
                raise BusyError(f"{len(self._queue)} requests are already waiting.", remedy="Try again later.")
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
        """Wait for the running and the waiting requests, then stop the threads."""
        await asyncio.get_running_loop().run_in_executor(None, self._pool.shutdown)

    def _expire(self, future: asyncio.Future[Answer]) -> None:
        if self._forget(future):
            limit = f"{self._limits.queue_timeout_s:g} s"
            _give(future, WaitedTooLongError(f"the request waited longer than {limit}.", remedy="Try again later."))

    def _forget(self, future: asyncio.Future[Answer]) -> bool:
        """Remove a request from the queue. Return False if a worker has already taken it."""
        with self._lock:
            before = len(self._queue)
            self._queue = deque(waiting for waiting in self._queue if waiting.future is not future)
            return len(self._queue) < before

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer batches until the queue is empty. Runs in a worker thread."""
        while batch := self._take():
            self._answer(loop, batch)

    def _take(self) -> list[_Waiting[Item, Answer]]:
        """Take the requests that waited longest, at most the share of one worker."""
        with self._lock:
            share = -(-len(self._queue) // self._limits.workers)
            batch = [self._queue.popleft() for _ in range(min(share, self._limits.max_batch))]
            self.batches += bool(batch)
            self.batched += len(batch)
            self._working -= not batch  # under the lock, so the next `submit` starts a worker
            return batch

    def _answer(self, loop: asyncio.AbstractEventLoop, batch: Sequence[_Waiting[Item, Answer]]) -> None:
        """Answer a batch and deliver each answer. Runs in a worker thread.

        If the batch fails, each request without an answer is run alone, so that a bad one fails alone.
        """
        waiting = iter(batch)
        try:
            for answer in self._run([request.item for request in batch]):
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
        for request in unanswered:
            if alone:
                loop.call_soon_threadsafe(_give, request.future, error)
            else:
                self._answer(loop, [request])


def _give(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):  # the client has gone
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
