"""Passages that the reranker had to cut are counted for `--explain`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag_search.search.searcher import Searcher
from tests.support.fakes import MemoryIndex, OverlapReranker, WordEmbedder


@dataclass(frozen=True)
class ShortSighted(OverlapReranker):
    """Reads four words of a passage."""

    def count_truncated(self, passages: Sequence[str]) -> int:
        return sum(len(passage.split()) > 4 for passage in passages)


def test_cut_passages_are_counted() -> None:
    embedder = WordEmbedder()
    texts = {"a.md": ["redis one two three four"], "b.md": ["redis one"], "c.md": ["redis " * 9]}
    result = Searcher(MemoryIndex(texts, embedder), embedder, ShortSighted()).search("redis")
    assert result.notes == ("2 of 3 passages were longer than the reranker reads and were cut",)
    whole = {"b.md": ["redis one"]}
    assert Searcher(MemoryIndex(whole, embedder), embedder, ShortSighted()).search("redis").notes == ()
