"""Several slow calls at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
