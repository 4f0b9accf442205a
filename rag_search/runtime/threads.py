"""Run several slow calls at a time, and work ahead in a background thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def map_parallel(call: Callable[[_Item], _Answer], items: Sequence[_Item], *, workers: int) -> list[_Answer]:
    """Call `call` for each item, at most `workers` at a time, and return the answers in the order of the items.

    The first error is raised, and calls that have not begun are cancelled.
    """
    if workers == 1 or len(items) < 2:
        return [call(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # imports logging: a cold query does without both

    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class Running(Generic[_Answer]):
    """A call that runs in another thread from now on."""

    def __init__(self, call: Callable[[], _Answer]) -> None:
        self._call = call
        self._answers: list[_Answer] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="begin")
        self._thread.start()

    def result(self) -> _Answer:
        """Wait for the answer and return it, or raise the error of the call."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._answers[0]

    def _run(self) -> None:
        try:
            self._answers.append(self._call())
        except BaseException as error:  # noqa: BLE001 (raised again in the thread that waits)
            self._error = error


class Prefetcher(Generic[_Item]):
    """Iterate over `items` from a background thread that keeps at most two ahead.

    An exception is raised at its item's position. Close it to stop early: the thread ends after the item that it is
    making. `close` does not wait for that, `finish` does.
    """

    def __init__(self, items: Iterable[_Item]) -> None:
        self._made: Queue[_Item | _Ended] = Queue(maxsize=1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._make, args=(items,), name="ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[_Item]:
        return self

    def __next__(self) -> _Item:
        if self._stopped.is_set():
            raise StopIteration
        item = self._made.get()
        if not isinstance(item, _Ended):
            return item
        self._stopped.set()
        raise item.error or StopIteration

    def close(self) -> None:
        """Stop the thread after its present item, without waiting for it."""
        self._stopped.set()
        with suppress(Empty):
            self._made.get_nowait()  # lets a thread end that waits to hand over its last item

    def finish(self) -> None:
        """Stop and wait for the thread, so that what it reads from may be closed."""
        self.close()
        self._thread.join()

    def _make(self, items: Iterable[_Item]) -> None:
        """Put every item into the queue, then the end or the error."""
        error: BaseException | None = None
        try:
            for item in items:
                self._made.put(item)
                if self._stopped.is_set():
                    return
        except BaseException as raised:  # noqa: BLE001 (raised again in the thread that waits)
            error = raised
        self._made.put(_Ended(error))


@dataclass(frozen=True, slots=True)
class _Ended:
    """The end of the items. error: why it came early, or None."""

    error: BaseException | None
