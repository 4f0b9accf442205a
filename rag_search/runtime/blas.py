"""Matrix products in one thread."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class _OneThread:
    """Products of a millisecond each: BLAS threads that wait for each other cost more than they do.

    The limit is that of the whole process, so the first one inside sets it and the last one out lifts it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0 and os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # the command line sets it
                self._limit.enter_context(_controller().limit(limits=1, user_api="blas"))
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._limit.close()


one_thread = _OneThread()


@cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController  # 16 ms that the command line need not wait for

    return ThreadpoolController()
