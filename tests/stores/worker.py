"""A writer that is killed: runs the operations of a seed, one after the other, until the end comes.

It counts the requests that it makes to the servers. At the chosen one it stops itself, before the request is sent or
after the answer has come, until it is killed or told to go on.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from multiprocessing.connection import Connection as Pipe
from typing import Any

from rag_search.errors import IndexLockedError, RagSearchError
from rag_search.index.postgres import connection
from tests.stores.harness import StoreUnderTest, operation

OPEN_S = 60.0  # the session of the writer before may take a moment to end
NEVER = 0


@dataclass(frozen=True)
class Task:
    """Operations from `first` on. stop_at: number of the step to stop at, NEVER for none."""

    store: StoreUnderTest
    seed: int
    first: int
    stop_at: int
    lease_s: float


def write(task: Task, pipe: Pipe) -> None:
    """Send "open", the number of each operation once it is committed, ("stopped", where), and ("failed", why)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    _count_steps(task.stop_at, lambda where: pipe.send(("stopped", where)))
    try:
        writer = _opened(task)
        pipe.send("open")
        for number in count(task.first):
            todo = operation(task.seed, number)
            if todo.kind == "rebuild":
                writer.close()
                writer = task.store.writer(rebuild=True, lease_s=task.lease_s)
            else:
                todo.run(writer)
            pipe.send(number)
    except RagSearchError as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}"))


def _opened(task: Task) -> Any:
    deadline = time.monotonic() + OPEN_S
    while True:
        try:
            return task.store.writer(lease_s=task.lease_s)
        except IndexLockedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _count_steps(stop_at: int, say: Callable[[str], None]) -> None:
    """Stop this process at a step, that is before or after one of its requests. Changes the classes of the clients."""
    numbers = count(1)

    def step(side: str) -> None:
        if next(numbers) == stop_at:
            say(f"{side} {_place()}")
            os.kill(os.getpid(), signal.SIGSTOP)

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            step("before")
            result = method(*args, **options)
            step("after")
            return result

        return call

    connection.Connection.wait = counted(connection.Connection.wait)  # type: ignore[method-assign]
    if "rag_search.index.postgres.milvus" in sys.modules:
        from rag_search.index.postgres.milvus import MilvusVectors

        for name in ("create", "_call", "drop"):
            setattr(MilvusVectors, name, counted(getattr(MilvusVectors, name)))


def _place() -> str:
    """Return the line of the store's code that makes the request."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith("rag_search.index.postgres.") and frame.f_code.co_name != "wait":
            return f"{name.rpartition('.')[2]}.{frame.f_code.co_name}:{frame.f_lineno}"
        frame = frame.f_back
    return "elsewhere"
