"""Typing errors are corrected by the words of the index, and clean queries stay as they are."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_search.records import SearchOptions
from rag_search.search.corrections import corrected, find_corrections
from rag_search.search.searcher import Searcher
from tests.support.fakes import MemoryIndex, OverlapReranker, WordEmbedder

TEXTS = {
    "a.md": ["数据库死锁的排查", "死锁日志", "timeout of the connection pool"],
    **{f"{number}.md": ["别的内容", "another page"] for number in range(20)},
    "b.md": ["最大连接数和超时", "连接数太多", "connection timeout and replication", "replication lag"],
}


def count_tokens(texts: Sequence[str]) -> NDArray[np.int64]:
    """Count one piece for a word of a language, and two for others."""
    words = {"connection", "timeout", "replication", "pools"}
    return np.array([1 if text in words else 2 for text in texts], np.int64)


def index() -> MemoryIndex:
    return MemoryIndex(TEXTS, WordEmbedder())


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("死琐怎么查", "死锁怎么查"),
        ("连街数太多", "连接数太多"),
        ("conection timeout", "connection timeout"),
        ("connection tiemout", "connection timeout"),
        ("Replicaton lag", "replication lag"),
        ("数据库死锁的排查", "数据库死锁的排查"),
        ("replications", "replications"),  # another form of a known word
        ("kubernetes operator", "kubernetes operator"),  # unknown, and nothing is near
        ("--conection", "--conection"),  # an identifier
        ("pools", "pools"),  # a word that the index does not have
        ("conn timeout", "conn timeout"),  # too short to tell
    ],
)
def test_corrections(typed: str, meant: str) -> None:
    assert corrected(typed, find_corrections(index(), typed, count_tokens=count_tokens)) == meant


def test_a_corrected_query_finds_and_tells() -> None:
    embedder = WordEmbedder(tokens=True)
    found = Searcher(index(), embedder, OverlapReranker()).search("连街数太多", SearchOptions(top_k=1))
    assert found.query == "连街数太多"
    assert found.hits[0].chunk.text == "连接数太多"
    assert found.notes == ("searched for '连接数太多': the index does not have what was typed",)
