"""Limit matrix products to one thread."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


class _OneThread:
    """A context in which BLAS uses one thread: products take a millisecond each, and waiting threads cost more.

    The limit holds for the whole process, so the first user sets it and the last one lifts it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._limit = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0 and os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # set by the command line
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
    """Return the controller of the BLAS libraries that are loaded."""
    from threadpoolctl import ThreadpoolController  # 16 ms that a command does not need

    return ThreadpoolController()
