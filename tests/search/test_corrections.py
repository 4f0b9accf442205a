"""Typing errors are corrected by the words of the index, and clean queries stay as they are."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rag_search.records import SearchOptions
from rag_search.search import corrections
from rag_search.search.corrections import FREQUENT, corrected, find_corrections
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
        ("replicatiod", "replication"),
        ("xeplication lag", "xeplication lag"),  # the first letter is seldom wrong
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


@pytest.mark.parametrize("query", ["死琐怎么查", "连街数太多", "conection timeout", "Replicaton lag"])
def test_a_large_index_corrects_alike(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks up each term where a small one reads all that begin alike."""
    small = find_corrections(index(), query, count_tokens=count_tokens)
    monkeypatch.setattr(corrections, "SMALL_INDEX", 0)
    assert find_corrections(index(), query, count_tokens=count_tokens) == small != []


@pytest.mark.parametrize("chunks", [FREQUENT - 1, FREQUENT])
def test_a_frequent_name_is_meant_by_what_is_near(chunks: int) -> None:
    """The tokenizer needs as many pieces for a name that it does not know as for a slip of it."""
    index = MemoryIndex({f"{n}.md": ["karmada"] for n in range(chunks)}, WordEmbedder())
    expected = "karmada" if chunks == FREQUENT else "kermada"
    assert corrected("kermada", find_corrections(index, "kermada", count_tokens=count_tokens)) == expected


def test_a_common_character_is_corrected_by_sure_words_only() -> None:
    """副 is in more chunks than 复杂, which is a word far beyond chance; 复制 is one chunk in many."""
    texts = ["主副本"] * 20 + ["复杂度高"] * 12 + [f"别的内容{n}" for n in range(300)]
    index = MemoryIndex({f"{n}.md": [text] for n, text in enumerate([*texts, "复制"])}, WordEmbedder())
    assert corrected("口令副杂度", find_corrections(index, "口令副杂度", count_tokens=count_tokens)) == "口令复杂度"
    assert find_corrections(index, "可以副制吗", count_tokens=count_tokens) == []
