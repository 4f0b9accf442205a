import threading
from collections.abc import Iterator

import pytest

from rag_search.runtime.threads import Prefetcher, Running

PATIENCE_S = 10.0


def test_items_keep_their_order() -> None:
    assert list(Prefetcher(range(1000))) == list(range(1000))


def test_the_next_item_is_made_while_one_is_in_use() -> None:
    making_second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        making_second.set()
        yield 2

    for item in Prefetcher(items()):
        assert item == 2 or making_second.wait(PATIENCE_S)


def test_the_first_item_is_made_before_anyone_asks() -> None:
    making = threading.Event()

    def items() -> Iterator[int]:
        making.set()
        yield 1

    made = Prefetcher(items())
    assert making.wait(PATIENCE_S)
    assert list(made) == [1]
    assert list(made) == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2, 3)
        raise ValueError("the fourth")

    seen = []
    with pytest.raises(ValueError, match="the fourth"):
        seen.extend(Prefetcher(items()))
    made = Prefetcher(items())
    assert [next(made) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="the fourth"):
        next(made)


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_the_thread_ends_when_nobody_listens(taken: int) -> None:
    ended = threading.Event()
    made = []

    def items() -> Iterator[int]:
        try:
            for number in range(10**9):
                made.append(number)
                yield number
        finally:
            ended.set()

    listening = Prefetcher(items())
    for _ in range(taken):
        next(listening)
    listening.close()
    assert ended.wait(PATIENCE_S)
    assert len(made) <= taken + 2


def test_to_finish_is_to_wait_for_the_item_that_is_being_made() -> None:
    making, ended = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        making.set()
        ended.wait(0.05)  # nobody sets it: the thread is still at work when it is told to stop
        ended.set()
        yield 1

    made = Prefetcher(items())
    assert making.wait(PATIENCE_S)
    made.finish()
    assert ended.is_set()
    assert list(made) == []


def test_what_is_begun_goes_on_by_itself() -> None:
    begun = threading.Event()
    answer = Running(begun.set)
    assert begun.wait(PATIENCE_S)
    assert answer.result() is None


def test_the_error_of_what_was_begun_reaches_the_one_who_waits() -> None:
    with pytest.raises(ZeroDivisionError):
        Running(lambda: 1 // 0).result()
