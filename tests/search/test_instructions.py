"""Instructions prefer documents by what they tell of themselves."""

import numpy as np
import pytest

from rag_search.records import Chunk, DocumentFacts, Hit, StageScores
from rag_search.search.instructions import WEIGHT, facets_of, preferences
from rag_search.text.query import parse_query


def candidate(path: str, title: str, passage: str = "text", **metadata: str) -> tuple[Hit, DocumentFacts]:
    chunk = Chunk(path, title, 0, passage, (), 0, 4, 1, 1, f"{title}\n{passage}")
    return Hit(chunk, 1, 0.0, StageScores()), DocumentFacts(path, title, metadata, metadata.get("updated", ""))


def preferred(instruction: str, *candidates: tuple[Hit, DocumentFacts]) -> int:
    hits, facts = zip(*candidates, strict=True)
    return int(np.argmax(preferences(instruction, hits, facts, np.zeros(len(hits), np.float32))))


@pytest.mark.parametrize(
    ("instruction", "facets"),
    [
        ("面向新手", ["for beginners"]),
        ("for experts", ["for experts"]),
        ("准确回答", ["exact"]),
        ("API reference", ["exact"]),
        ("2024年最新", ["of 2024"]),
        ("latest", ["latest"]),
        ("before 2022", ["before 2022"]),
        ("2021年以前", ["before 2021"]),
        ("in English", ["in English"]),
        ("用中文回答", ["in Chinese"]),
        ("written by the storage team", []),
    ],
)
def test_facets_of_an_instruction(instruction: str, facets: list[str]) -> None:
    assert list(facets_of(instruction)) == facets


@pytest.mark.parametrize(
    ("instruction", "best", "other"),
    [
        ("面向新手", candidate("a.md", "缓存入门"), candidate("b.md", "缓存一致性进阶")),
        ("for experts", candidate("a.md", "Locks", level="expert"), candidate("b.md", "Locks: getting started")),
        ("2024年最新", candidate("pay-2024.md", "Pay"), candidate("pay-2021.md", "Pay")),
        ("latest", candidate("a.md", "Pay", updated="2024-02-01"), candidate("b.md", "Pay", updated="2021-02-01")),
        ("before 2022", candidate("a.md", "Pay", updated="2021-02-01"), candidate("b.md", "P", updated="2024-02-01")),
        ("in English", candidate("a.md", "Pay", "all in English"), candidate("b.md", "付款", "全是中文的内容")),
        ("API reference", candidate("api/pay.md", "Pay"), candidate("guide/pay.md", "Pay: a story")),
    ],
)
def test_a_document_that_says_so_is_preferred(
    instruction: str, best: tuple[Hit, DocumentFacts], other: tuple[Hit, DocumentFacts]
) -> None:
    assert preferred(instruction, best, other) == 0
    assert preferred(instruction, other, best) == 1


def test_another_instruction_counts_by_its_vector() -> None:
    pairs = [candidate("a.md", "A"), candidate("b.md", "B")]
    hits, facts = zip(*pairs, strict=True)
    found = preferences("by the storage team", hits, facts, np.array([0.1, 0.3], np.float32))
    assert found[0] < found[1] < WEIGHT


@pytest.mark.parametrize(
    "raw", ["[Errno 28] No space left", "[Errno 28]", "[tool.uv] conflicts", "[ERROR] refused", "[[bin]] name", "[a.b]"]
)
def test_brackets_that_are_no_instruction_are_text(raw: str) -> None:
    query = parse_query(raw)
    assert (query.text, query.instruction) == (raw, None)


@pytest.mark.parametrize(
    "told", ["面向新手", "2024年最新", "for beginners", "before 2022", "in English", "2024", "API reference"]
)
def test_brackets_that_are_an_instruction(told: str) -> None:
    query = parse_query(f"[{told}] redis")
    assert (query.text, query.instruction) == ("redis", told)
