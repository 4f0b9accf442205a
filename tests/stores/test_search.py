"""Rankings are those of the local store: ids, order and scores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_search.index.bm25 import POSTINGS
from tests.index.world import Item, put, random_unit
from tests.stores.harness import StoreUnderTest, item
from tests.support.databases import PostgresServer

WORDS = ["redis", "timeout", "pool", "连接", "超时", "Error_Code", "max-idle", "c++", "a.b", "the", "of"]
METADATA: list[Mapping[str, Any]] = [
    {"lang": "de", "tags": ["a", "B"], "draft": True},
    {"lang": "en", "draft": False, "version": 2, "ratio": 1.5},
    {"version": "2", "draft": "true", "nested": {"key": 1}, "none": None},
    {"tags": [1, True, "x"], "lang": "", "中": "文"},
    {},
]


def documents(count: int, *, seed: int = 5) -> list[Item]:
    """Return documents of random words, some of which are frequent."""
    random = np.random.default_rng(seed)
    frequency = 1 / np.arange(1, len(WORDS) + 1)
    items = []
    for number in range(count):
        texts = [
            " ".join(random.choice(WORDS, int(random.integers(1, 30)), p=frequency / frequency.sum())) + f" n{number}\n"
            for _ in range(int(random.integers(1, 6)))
        ]
        folder = ["docs", "docs/sub", "DOCS", "notes [1]"][number % 4]
        date = f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}" if number % 5 else ""
        items.append(item(f"{folder}/{number}.md", texts, metadata=METADATA[number % 5], updated=date))
    return items


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> StoreUnderTest:
    """The local store with all documents."""
    return filled(StoreUnderTest(tmp_path_factory.mktemp("reference") / "index"))


def filled(store: StoreUnderTest) -> StoreUnderTest:
    """Fill a store by several commits, with documents replaced and removed in between."""
    items = documents(60)
    with store.writer() as writer:
        put(writer, documents(30, seed=9))
        writer.commit()
        for start in range(0, 60, 10):
            put(writer, items[start : start + 10])
            writer.commit()
        put(writer, [item("gone.md", ["redis timeout pool gone\n"])])
        writer.commit()
        writer.remove(["gone.md"])
        writer.commit()
    return store


def places(reader: Any, ids: Any) -> list[tuple[str, int]]:
    return [(chunk.path, chunk.ordinal) for chunk in reader.chunks(ids.tolist())]


def by_place(reader: Any, ids: Any, scores: Any) -> list[tuple[float, str, int]]:
    """Return hits by score, equal scores by place: ids differ from store to store."""
    found = zip(scores.tolist(), places(reader, ids), strict=True)
    return sorted((-round(score, 6), *place) for score, place in found)


QUERIES = [
    ["redis"],
    ["REDIS", "timeout"],
    ["连接", "超时", "pool"],
    ["the", "of"],
    ["n7"],
    ["nowhere"],
    [],
    ["max-idle", "c++", "error_code"],
    ["a.b", "a.b"],
]


def test_bm25_is_that_of_the_local_store(store: StoreUnderTest, reference: StoreUnderTest) -> None:
    filled(store)
    with store.reader() as reader, reference.reader() as local:
        for terms in QUERIES:
            ids, scores = reader.search_lexical(terms, 500)
            local_ids, local_scores = local.search_lexical(terms, 500)
            np.testing.assert_allclose(scores, local_scores, atol=1e-6)
            assert by_place(reader, ids, scores) == by_place(local, local_ids, local_scores)


def test_dense_is_that_of_the_local_store(store: StoreUnderTest, reference: StoreUnderTest) -> None:
    filled(store)
    with store.reader() as reader, reference.reader() as local:
        queries = random_unit(20, seed=3)
        for top_k in (1, 10, 1000):
            ids, scores = reader.search_dense(queries, top_k)
            local_ids, local_scores = local.search_dense(queries, top_k)
            np.testing.assert_allclose(scores, local_scores, atol=1e-6)
            for row, local_row in zip(ids, local_ids, strict=True):
                assert places(reader, row[row >= 0]) == places(local, local_row[local_row >= 0])


FILTERS: list[dict[str, Any]] = [
    {"path_glob": ["docs"]}, {"path_glob": ["docs/sub"]}, {"path_glob": ["./docs/*.md"]},
    {"path_glob": ["docs/**/1?.md"]},
    {"path_glob": ["notes [[]1]"]}, {"path_glob": ["notes [1]"]}, {"path_glob": ["*[0-3].md", "DOCS/"]},
    {"path_glob": ["[^d]*"]}, {"path_glob": ["!docs"]}, {"path_glob": ["docs", "!docs/sub", "!*2.md"]},
    {"path_glob": ["!*"]}, {"path_glob": ["!docs", "docs"]}, {"path_glob": ["!notes [1]"]},
    {"path_glob": ["!docs/**/1?.md"]},
    {"path_glob": ["!notes [[]1]/*.md", "notes [1]", "DOCS"]}, {"path_glob": ["!docs", "!DOCS/", "!./notes [1]/3.md"]},
    {"path_glob": ["!docs/[unclosed"]}, {"path_glob": ["!docs/[9-0].md", "docs"]}, {"path_glob": ["!!docs"]},
    {"path_glob": ["docs", "!*[0-3].md"], "where": {"lang": "de"}}, {"since": "2026-06-01", "path_glob": ["!docs/sub"]},
    {"path_glob": ["docs/[9-0].md"]}, {"path_glob": ["docs/[unclosed"]},
    {"path_glob": ["*"]}, {"path_glob": ["nowhere"]},
    {"where": {"lang": "de"}}, {"where": {"tags": "a"}}, {"where": {"tags": "b"}}, {"where": {"draft": "True"}},
    {"where": {"draft": "true"}}, {"where": {"version": "2"}}, {"where": {"ratio": "1.5"}}, {"where": {"none": "None"}},
    {"where": {"nested": '{"key":1}'}}, {"where": {"tags": "true"}}, {"where": {"中": "文"}}, {"where": {"lang": ""}},
    {"where": {"lang": "en", "draft": "false"}}, {"since": "2026-06-01"},
    {"since": "2026-06-01", "path_glob": ["docs"], "where": {"lang": "de"}},
]  # fmt: skip


def test_filters_are_those_of_the_local_store(store: StoreUnderTest, reference: StoreUnderTest) -> None:
    filled(store)
    queries = random_unit(2, seed=3)
    with store.reader() as reader, reference.reader() as local:
        for conditions in FILTERS:
            allowed, local_allowed = reader.select(**conditions), local.select(**conditions)
            ids, scores = reader.search_lexical(["redis", "pool"], 500, allowed=allowed)
            local_ids, local_scores = local.search_lexical(["redis", "pool"], 500, allowed=local_allowed)
            assert by_place(reader, ids, scores) == by_place(local, local_ids, local_scores), conditions
            found, _ = reader.search_dense(queries, 500, allowed=allowed)
            wanted, _ = local.search_dense(queries, 500, allowed=local_allowed)
            for row, local_row in zip(found, wanted, strict=True):
                assert places(reader, row[row >= 0]) == places(local, local_row[local_row >= 0]), conditions
        assert reader.select() is None


@pytest.fixture(scope="module")
def both(reference: StoreUnderTest, request: pytest.FixtureRequest) -> list[StoreUnderTest]:
    """The local store and the one in PostgreSQL, filled alike."""
    server = request.getfixturevalue("postgres")
    return [reference, filled(StoreUnderTest(Path("unused"), server.url, "filters"))]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=st.text(alphabet="docs/*?[]^-0129.mD \\{}()+|$\n", max_size=12))
def test_any_pattern_selects_as_locally(pattern: str, both: list[StoreUnderTest]) -> None:
    """SQLite's GLOB and its translation agree, whatever the pattern."""
    assert_selected_alike(both, [pattern])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    patterns=st.lists(st.from_regex(r"!{0,2}[docsDOCS/*?\[\]^0-9.m -]{0,8}", fullmatch=True), min_size=1, max_size=4)
)
def test_excluded_paths_are_those_left_out_locally(patterns: list[str], both: list[StoreUnderTest]) -> None:
    """Patterns with `!` in front leave out the same documents, however they are mixed with others."""
    assert_selected_alike(both, patterns)


def assert_selected_alike(stores: Sequence[StoreUnderTest], patterns: Sequence[str]) -> None:
    """Compare what each store finds in the documents that patterns select."""
    found = []
    for store in stores:
        with store.reader() as reader:
            ids, _ = reader.search_lexical(WORDS, POSTINGS, allowed=reader.select(path_glob=patterns))
            found.append(sorted(places(reader, ids)))
    assert found[0] == found[1]


def test_answers_stay_the_same_after_maintenance(store: StoreUnderTest, reference: StoreUnderTest) -> None:
    filled(store)
    with store.writer() as writer:
        writer.compact()
        writer.maintain()
    with store.reader() as reader, reference.reader() as local:
        for terms in QUERIES:
            ids, scores = reader.search_lexical(terms, 500)
            assert by_place(reader, ids, scores) == by_place(local, *local.search_lexical(terms, 500))
    assert store.verify() == []


def test_many_small_commits_are_joined(store: StoreUnderTest) -> None:
    """A term's postings stay few rows, and still name every chunk."""
    with store.writer() as writer:
        for number in range(80):
            put(writer, [item(f"{number}.md", [f"common n{number}\n"])])
            writer.commit()
    with store.reader() as reader:
        ids, _ = reader.search_lexical(["common"], 500)
        assert sorted(places(reader, ids)) == sorted((f"{number}.md", 0) for number in range(80))
    assert store.verify() == []


def test_metadata_comes_back(store: StoreUnderTest) -> None:
    """Numbers, texts, lists and control characters of the front matter are those that were put."""
    metadata = {"a": 1.0, "b": 10**20, "c": [1, "\0", {"d": None}], "e": "\u2028", "f": True}
    with store.writer() as writer:
        put(writer, [item("a.md", ["text\n"], metadata=metadata)])
        writer.commit()
    with store.reader() as reader:
        assert json.dumps(dict(reader.document("a.md").metadata)) == json.dumps(metadata)


def test_approximate_index_with_filters(postgres: PostgresServer, reference: StoreUnderTest) -> None:
    """The HNSW index finds what a scan finds here, and a filtered search is complete."""
    store = filled(StoreUnderTest(Path("unused"), postgres.url, "hnsw"))
    with store.writer() as writer:
        writer.maintain(exact_rows=10)
    queries = random_unit(10, seed=3)
    with store.reader() as reader, reference.reader() as local:
        assert reader.kind == "pgvector HNSW"
        for conditions in [{}, *FILTERS]:
            allowed, local_allowed = reader.select(**conditions), local.select(**conditions)
            ids, scores = reader.search_dense(queries, 20, allowed=allowed)
            local_ids, local_scores = local.search_dense(queries, 20, allowed=local_allowed)
            np.testing.assert_allclose(scores, local_scores, atol=1e-6)
            for row, local_row in zip(ids, local_ids, strict=True):
                assert places(reader, row[row >= 0]) == places(local, local_row[local_row >= 0]), conditions
    with store.writer() as writer:  # rows that come later are found, too
        put(writer, [item("late.md", ["late words\n"])])
        writer.commit()
    with store.reader() as reader:
        late = item("late.md", ["late words\n"]).encoded.vectors
        assert places(reader, reader.search_dense(late, 1)[0][0]) == [("late.md", 0)]
