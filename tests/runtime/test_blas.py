"""The limit on BLAS threads is the process's own: threads that overlap must not leave it behind, or lift it early."""

from __future__ import annotations

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from rag_search.runtime.blas import one_thread


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def _two_threads(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    with threadpool_limits(limits=2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has one thread")
        yield


def test_users_that_overlap_share_the_limit() -> None:
    one_thread.__enter__()  # one user comes,
    one_thread.__enter__()  # another comes,
    one_thread.__exit__()  # the first goes
    assert threads() == {1}
    one_thread.__exit__()
    assert threads() == {2}


def test_an_error_lifts_the_limit() -> None:
    with pytest.raises(ValueError, match="inside"), one_thread:
        assert threads() == {1}
        raise ValueError("inside")
    assert threads() == {2}
