"""A chunk that contains what the query names to the letter comes first and is confident, with any reranker."""

from collections.abc import Sequence

import pytest

from rag_search.records import FloatVector, SearchOptions
from rag_search.search.evidence import FEW, find_evidence
from rag_search.search.hits import merge_copies
from rag_search.search.searcher import Searcher
from tests.support.fakes import MemoryIndex, OverlapReranker, WordEmbedder

TEXTS = {
    "hooks.md": ["limit of the heap is --max-old-space-size in megabytes"],
    **{f"{n}.md": [f"the size of space number {n} is old and at its max"] for n in range(30)},
}


class Blind(OverlapReranker):
    """Prefers passages of many words, whatever is asked."""

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        return super().score("the size of space is old max", passages)


def index(texts: dict[str, list[str]] = TEXTS) -> MemoryIndex:
    return MemoryIndex(texts, WordEmbedder())


@pytest.mark.parametrize("query", ["max-old-space-size", "maxOldSpaceSize", "what is --max-old-space-size"])
def test_a_rare_identifier_survives_the_reranker(query: str) -> None:
    found = Searcher(index(), WordEmbedder(), Blind()).search(query)
    assert found.hits[0].chunk.path == "hooks.md"
    assert found.hits[0].exact == (query.split("--")[-1].removeprefix("what is "),)
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    "query", ["how long does Herring keep data", "is the old size of space for Herring at its max"]
)
def test_a_rare_name_in_a_sentence_survives_the_reranker(query: str) -> None:
    """A row of a table is little of its passage, and the other words of the question are in many."""
    rows = "\n".join(f"| {name} | {n} | {7 * n} days |" for n, name in enumerate(("Anchovy", "Herring", "Perch")))
    texts = {**TEXTS, "plans.md": [f"| Plan | Seats | Retention |\n|---|---|---|\n{rows}"]}
    hit = Searcher(index(texts), WordEmbedder(), Blind()).search(query).hits[0]
    assert (hit.chunk.path, hit.exact) == ("plans.md", ("Herring",))


def test_a_flag_with_another_value_is_found() -> None:
    found = Searcher(index(), WordEmbedder(), Blind()).search("node --max-old-space-size=4096")
    assert (found.hits[0].chunk.path, found.hits[0].exact) == ("hooks.md", ("max-old-space-size",))


def test_a_candidate_that_stage_one_would_drop_is_kept() -> None:
    options = SearchOptions(system="hybrid", candidates=1)
    hits = Searcher(index(), WordEmbedder()).search("max-old-space-size of space the size is old", options).hits
    assert hits[0].chunk.path == "hooks.md"


def test_what_is_in_many_chunks_is_no_evidence() -> None:
    texts = {f"{n}.md": [f"set max_idle to {n}"] for n in range(FEW + 1)}
    assert find_evidence(index(texts), "max_idle") == {}
    assert len(find_evidence(index(dict(list(texts.items())[1:])), "max_idle")) == FEW


def test_strength_is_the_share_of_the_query() -> None:
    """An identifier alone is the whole query, in a sentence it is a part of it."""
    (alone,) = find_evidence(index(), "max-old-space-size").values()
    (part,) = find_evidence(index(), "how large may max-old-space-size be in a container").values()
    assert alone.strength == 1
    assert 0.2 < part.strength < 0.7


def test_equal_texts_are_one_hit() -> None:
    texts = {"a.md": ["steep the tea for four minutes"], "copy/a.md": ["steep the  tea for four minutes"]}
    found = Searcher(index(texts), WordEmbedder(), OverlapReranker()).search("steep tea")
    assert [(hit.chunk.path, hit.same_in) for hit in found.hits] == [("a.md", ("copy/a.md",))]
    assert merge_copies([]) == []


def test_as_many_documents_as_asked_for() -> None:
    """One long page does not fill the candidates while other documents are there."""
    texts = {"long.md": [f"redis pool number {n}" for n in range(200)], "b.md": ["kafka"], "c.md": ["mysql"]}
    found = Searcher(index(texts), WordEmbedder(), OverlapReranker()).search("redis pool", SearchOptions(top_k=3))
    assert {hit.chunk.path for hit in found.hits} == {"long.md", "b.md", "c.md"}
    two = SearchOptions(top_k=5, paths=("long.md", "c.md"))
    found = Searcher(index(texts), WordEmbedder(), OverlapReranker()).search("redis pool", two)
    assert {hit.chunk.path for hit in found.hits} == {"long.md", "c.md"}


@pytest.mark.parametrize("marks", ["??=", "🚀", "！！"])
def test_marks_alone_are_found_to_the_letter(marks: str) -> None:
    """A query without letters and digits has no terms, so the candidates are looked at."""
    texts = {"a.md": [f"assign with {marks} here"], **{f"{n}.md": [f"assign page {n}"] for n in range(9)}}
    found = Searcher(index(texts), WordEmbedder(), Blind()).search(marks)
    assert found.hits[0].chunk.path == "a.md"
    assert found.hits[0].exact == (marks.replace("！", "!"),)


def test_a_mark_that_is_everywhere_is_no_evidence() -> None:
    texts = {f"{n}.md": [f"page {n}!!"] for n in range(FEW + 1)}
    assert all(not hit.exact for hit in Searcher(index(texts), WordEmbedder()).search("!!").hits)
    assert all(not hit.exact for hit in Searcher(index({"a.md": ["a!"]}), WordEmbedder()).search("!").hits)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("v0.1.0", ["typed.md"]),  # as typed, where a chunk has it so
        ("0.1.0", ["bare.md"]),
        ("2.7.1", ["with-v.md"]),
        ("v1.43.4", ["longer.md"]),  # a part of a longer term
        ("kernel-debug", ["joined.md"]),
    ],
)
def test_versions_and_parts_of_longer_terms(query: str, expected: list[str]) -> None:
    texts = {
        "typed.md": ["the first release is v0.1.0"],
        "bare.md": ["the chart is 0.1.0"],
        "with-v.md": ["since v2.7.1 it starts"],
        "longer.md": ["the tag is v1.43.4-nightly"],
        "joined.md": ["install xz-kernel-debug-info"],
        "apart.md": ["a kernel and a debug 43 build"],
    }
    searched = index(texts)
    assert [searched.chunks([found])[0].path for found in find_evidence(searched, query)] == expected
