"""Typing errors are corrected by the words of the index, and clean queries stay as they are."""

import pytest

from rag_search.records import SearchOptions
from rag_search.search.corrections import corrected, find_corrections
from rag_search.search.searcher import Searcher
from tests.support.fakes import MemoryIndex, OverlapReranker, WordEmbedder

TEXTS = {
    "a.md": ["数据库死锁的排查", "死锁日志", "timeout of the connection pool"],
    "b.md": ["最大连接数和超时", "连接数太多", "connection timeout and replication", "replication lag"],
}


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
        ("conn timeout", "conn timeout"),  # too short to tell
    ],
)
def test_corrections(typed: str, meant: str) -> None:
    assert corrected(typed, find_corrections(index(), typed)) == meant


def test_a_corrected_query_finds_and_tells() -> None:
    found = Searcher(index(), WordEmbedder(), OverlapReranker()).search("连街数太多", SearchOptions(top_k=1))
    assert found.query == "连街数太多"
    assert found.hits[0].chunk.text == "连接数太多"
    assert found.notes == ("searched for '连接数太多': the index does not have what was typed",)
