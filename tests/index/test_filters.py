"""Which chunks a filter lets through."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_search.documents.formats.fields import yaml_fields
from rag_search.errors import InputError
from rag_search.index import IndexReader, open_reader, open_writer
from rag_search.index.filters import selected_paths
from rag_search.index.globs import pattern_of, regex_of
from tests.index.world import MANIFEST, item, put

DOCUMENTS = [
    item(
        "a.md",
        ["one\n", "two\n"],
        metadata={"tags": ["redis", "数据库"], "version": 7, "draft": True},
        updated="2026-01-31",
    ),
    item("docs/a.md", ["three\n"], metadata={"tags": "redis", "odd 'key\"": "x", "draft": False}, updated="2025-12-31"),
    item("docs/deep/b.md", ["four\n"], metadata={"tags": None, "version": "7"}),
    item("docs2/[x].md", ["five\n"], metadata={"nested": {"tags": "redis"}}, updated="2026-03-01"),
    item("[draft] (old)/$a & b's.md", ["six\n"]),
    item("cafe\u0301/\u30d5\u309a.md", ["seven\n"]),  # decomposed, as some file systems store names
    item("caf\u00e9s/\ud55c.md", ["eight\n"]),  # composed
]
DATABASE = sqlite3.connect(":memory:")
WORDS = ["yes", "NO", "on", "True", "FALSE", "1.10", "0.1", "-0", "-0.0", "0x1f", "2024-01-31", "0.00001", "9" * 40]


@pytest.fixture
def reader(folder: Path) -> Iterator[IndexReader]:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, DOCUMENTS)
        writer.commit()
    with open_reader(folder) as opened:
        yield opened


def test_outside_leaves_out_whole_documents(folder: Path) -> None:
    """All other live chunks are returned, whether filters leave some out or not."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, DOCUMENTS)
        writer.remove(["docs/a.md"])
        writer.commit()
    with open_reader(folder) as opened:
        assert opened.outside([1]).tolist() == [3, 4, 5, 6, 7]
        assert opened.outside([3, 7]).tolist() == [0, 1, 4, 5, 6]
        assert opened.outside([]).tolist() == [0, 1, 3, 4, 5, 6, 7]
        assert opened.outside([0], allowed=np.array([1, 4, 6])).tolist() == [4, 6]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"path_glob": ["docs"]}, [2, 3]),
        ({"path_glob": ["docs/"]}, [2, 3]),
        ({"path_glob": ["./docs/a.md"]}, [2]),
        ({"path_glob": ["docs/*"]}, [2, 3]),
        ({"path_glob": ["*.md"]}, [0, 1, 2, 3, 4, 5, 6, 7]),
        ({"path_glob": ["**/a.md"]}, [0, 1, 2]),
        ({"path_glob": ["docs/**/*.md"]}, [2, 3]),
        ({"path_glob": ["docs/**/a.md"]}, [2]),
        ({"path_glob": ["docs/**/deep/**/b.md"]}, [3]),
        ({"path_glob": ["**/docs/**/**/*.md"]}, [2, 3]),
        ({"path_glob": ["docs/x**/a.md", "docs**/b.md"]}, [3]),
        ({"path_glob": ["docs2/[x].md"]}, [4]),
        ({"path_glob": ["docs2/[[]x].md"]}, [4]),
        ({"path_glob": ["a.md", "docs/deep"]}, [0, 1, 3]),
        ({"path_glob": ["!docs"]}, [0, 1, 4, 5, 6, 7]),
        ({"path_glob": ["**/a.md", "!docs/*"]}, [0, 1]),
        ({"path_glob": ["!a.md", "docs", "!docs/**/b.md", "docs2"]}, [2, 4]),
        ({"path_glob": ["!caf\u00e9", "caf*", "cafe\u0301*"]}, [7]),
        ({"path_glob": ["!*"]}, []),
        ({"path_glob": ["[draft] (old)/$a & b's.md"]}, [5]),
        ({"path_glob": ["[draft] (old)"]}, [5]),
        ({"path_glob": ["[draft] (old)/*.md"]}, [5]),
        ({"path_glob": ["[[]draft] (old)/*.md"]}, [5]),
        ({"path_glob": ["[[]draft] (old)/$a & b's.md"]}, [5]),
        ({"path_glob": ["[cd]*/*.md"]}, [2, 3, 4, 6, 7]),
        ({"path_glob": ["[!a]*/a.md"]}, [2]),
        ({"path_glob": ["[^a]*/a.md"]}, [2]),
        ({"path_glob": ["[!d]*", "!?af*"]}, [0, 1, 5]),
        ({"path_glob": ["docs2/[!]*"]}, []),
        ({"path_glob": ["docs2/[[!]x].md", "docs/[]a].md"]}, [2, 4]),
        ({"path_glob": ["docs/[9-0].md", "docs/[unclosed"]}, []),
        ({"path_glob": ["caf\u00e9"]}, [6]),
        ({"path_glob": ["caf\u00e9/\u30d7.md"]}, [6]),
        ({"path_glob": ["cafe\u0301*/*"]}, [6, 7]),
        ({"path_glob": ["cafe\u0301s/\u1112\u1161\u11ab.md"]}, [7]),
        ({"path_glob": ["DOCS"]}, []),
        ({"path_glob": ["do%"]}, []),
        ({"where": {"tags": "redis"}}, [0, 1, 2]),
        ({"where": {"tags": "数据库"}}, [0, 1]),
        ({"where": {"version": "7"}}, [0, 1, 3]),
        ({"where": {"draft": "true"}}, [0, 1]),
        ({"where": {"draft": "false"}}, [2]),
        ({"where": {"draft": "True"}}, [0, 1]),
        ({"where": {"draft": "yes"}}, []),
        ({"where": {"odd 'key\"": "x"}}, [2]),
        ({"where": {"tags": "redis", "draft": "false"}}, [2]),
        ({"where": {"tags": "red"}}, []),
        ({"since": "2026-01-31"}, [0, 1, 4]),
        ({"since": "2026-02-01"}, [4]),
        ({"since": "2026-01-01", "where": {"tags": "redis"}, "path_glob": ["a.md"]}, [0, 1]),
    ],
)
def test_select(reader: IndexReader, condition: dict[str, Any], expected: list[int]) -> None:
    chosen = reader.select(**condition)
    assert chosen is not None
    assert chosen.tolist() == expected
    if set(condition) == {"path_glob"}:  # what lists documents goes by the same rule
        paths = dict.fromkeys(chunk.path for chunk in reader.chunks(expected))
        assert sorted(selected_paths(reader.documents(), condition["path_glob"])) == sorted(paths)


@given(
    glob=st.text("ab[]^!-*?/", max_size=8),
    path=st.text("ab[]^!-/", max_size=4),
)
@settings(max_examples=2000, deadline=None)
def test_a_regex_matches_what_glob_matches(glob: str, path: str) -> None:
    """What is listed from Python, and searched in PostgreSQL, is what SQLite finds."""
    (matches,) = DATABASE.execute("SELECT ? GLOB ?", (path, glob)).fetchone()
    assert bool(re.fullmatch(regex_of(glob), path, re.DOTALL)) == bool(matches)
    assert bool(pattern_of(glob).fullmatch(path)) == bool(matches)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    start = time.process_time()
    assert not selected_paths(["a" * 2000], ["*a" * 200 + "*b"])
    assert time.process_time() - start < 1


def test_no_condition_is_no_filter(reader: IndexReader) -> None:
    assert reader.select() is None
    assert reader.select(path_glob=[], where={}) is None


def test_since_must_be_a_date(reader: IndexReader) -> None:
    with pytest.raises(InputError, match="last week"):
        reader.select(since="last week")


@pytest.mark.parametrize(
    "condition",
    [
        {"path_glob": ["a*"] * 401},
        {"where": {str(i): "x" for i in range(201)}},
        {"path_glob": ["*" * 10_001]},
        {"where": {"tags": "x" * 10_001}},
        {"path_glob": ["**/" * 5 + "x"]},
    ],
)
def test_filters_have_limits(reader: IndexReader, condition: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"the limit is|more than 4") as refused:
        reader.select(**condition)
    assert refused.value.remedy
    if "path_glob" in condition:
        with pytest.raises(InputError, match=r"the limit is|more than 4"):
            selected_paths(["a.md"], condition["path_glob"])


@pytest.mark.parametrize(
    "condition",
    [
        {"path_glob": ["x*"] * 400},
        {"path_glob": ["**/x/**/y/**/z/**/x*"] * 400},
        {"where": {str(i): "x" for i in range(200)}},
        {"path_glob": ["é*" * 5000]},
        {"path_glob": ["[" * 10_000]},
        {"path_glob": ["\ud800*"]},
        {"where": {"\ud800": "\udfff"}},
    ],
)
def test_the_largest_and_strangest_filters_are_answered(reader: IndexReader, condition: dict[str, Any]) -> None:
    chosen = reader.select(**condition)
    assert chosen is not None
    assert chosen.tolist() == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.from_regex(r"\A[-+]?[0-9]{1,9}([.:_eE][-+]?[0-9]{1,9})?\Z") | st.sampled_from(WORDS), min_size=1))
def test_a_value_is_found_as_it_stands_in_the_file(folder: Path, values: list[str]) -> None:
    metadata = yaml_fields("".join(f"k{i}: {value}\n" for i, value in enumerate(values))).values
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item("a.md", ["text\n"], metadata=metadata)])
        writer.commit()
    with open_reader(folder) as opened:
        for i, value in enumerate(values):
            found = opened.select(where={f"k{i}": value})
            assert found is not None
            assert len(found) == 1, (value, metadata)
