"""Several slow calls at a time, and work done ahead."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, Queue
from typing import TypeVar

_Item = TypeVar("_Item")
_Answer = TypeVar("_Answer")


def in_parallel(call: Callable[[_Item], _Answer], items: Sequence[_Item], *, workers: int) -> list[_Answer]:
    """`call` for each item, at most `workers` at a time; answers in the order of the items.

    The first error is raised, and calls that have not begun are given up.
    """
    if workers == 1 or len(items) < 2:
        return [call(item) for item in items]
    with ThreadPoolExecutor(min(workers, len(items))) as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def ahead(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """`items` in order, each made in another thread while the one before it is in use; at most two are waiting.

    An error in making one is raised where it would have come. Close the iterator to stop early: the thread ends after
    the item that it is making, and nobody waits for it.
    """
    waiting: Queue[_Item | _Ended] = Queue(maxsize=1)
    stopped = threading.Event()

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                waiting.put(item)
                if stopped.is_set():
                    return
        except BaseException as raised:  # noqa: BLE001 (it is raised again in the thread that waits)
            error = raised
        waiting.put(_Ended(error))

    threading.Thread(target=make, name="ahead", daemon=True).start()
    try:
        while not isinstance(item := waiting.get(), _Ended):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stopped.set()
        with suppress(Empty):
            waiting.get_nowait()  # so that a thread that waits to hand over its last item can end


@dataclass(frozen=True, slots=True)
class _Ended:
    """Nothing more comes. error: why not."""

    error: BaseException | None
