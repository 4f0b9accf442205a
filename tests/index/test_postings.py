"""The file of postings against FTS5, from which it is derived: always the same ids, frequencies and scores."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from rag_search.errors import IndexStoreError
from rag_search.index import open_reader, open_writer, postings, postings_file, verify
from rag_search.index.bm25 import HELD_ROWS, WarmingPostings, held_when_warm
from rag_search.index.held_postings import HeldPostings
from rag_search.index.postings import FilePostings, FtsPostings, open_postings
from rag_search.index.store import state
from rag_search.index.store.database import connect
from tests.index.test_failures import FailingDisk
from tests.index.world import MANIFEST, item, put

WORDS = [*(f"w{i}" for i in range(60)), "连接", "超时", "Redis-CLI", "c++", "é", "z" * 300]
ODD = " ".join(["often"] * 700 + ["Often"])  # more than a byte counts


CONNECTIONS = ExitStack()


@pytest.fixture(autouse=True)
def _close_connections() -> Iterator[None]:
    """Close what a test has opened: Python 3.13 warns of a database that nobody closes."""
    yield
    CONNECTIONS.close()


def connected(folder: Path) -> sqlite3.Connection:
    """Return a connection that is closed after the test."""
    return CONNECTIONS.enter_context(closing(connect(folder)))


def texts(number: int, *, seed: int) -> list[str]:
    random = np.random.default_rng([seed, number])
    return [" ".join(WORDS[i % len(WORDS)] for i in random.zipf(1.3, 20)) + "\n" for _ in range(4)]


@pytest.fixture
def filled(folder: Path) -> Path:
    """Rows of the file, deleted ones among them, and newer rows."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item(f"{i}.md", [*texts(i, seed=1), ODD] if i == 9 else texts(i, seed=1)) for i in range(60)])
        writer.build_postings()
        writer.remove([f"{i}.md" for i in range(0, 60, 7)])
        put(writer, [item(f"{i}.md", texts(i, seed=2)) for i in range(50, 70)])
        writer.commit()
    return folder


def sources(folder: Path) -> tuple[postings.Postings, FtsPostings]:
    """Return the source that a reader would open, and FTS5."""
    database = connected(folder)
    file = state.read_derived(database, "postings")
    rows = int(database.execute("SELECT rows FROM segments WHERE kind = 'lengths'").fetchone()[0])
    deleted = state.read_deleted(database)
    return open_postings(database, file, folder, rows=rows, deleted=deleted), FtsPostings(database)


def assert_equal(one: postings.Postings, other: postings.Postings) -> None:
    for term in [*WORDS, "often", "OFTEN", "absent", "", "zzz"]:
        assert one.counts([term]) == other.counts([term]), term
        assert one.occurs(term) == other.occurs(term), term
        if other.counts([term])[term]:
            for found, expected in zip(one.read(term), other.read(term), strict=True):
                np.testing.assert_array_equal(found, expected)


def test_equals_fts5(filled: Path) -> None:
    """Every term has the same chunks, as often, with deleted and newer rows and without."""
    file, fts = sources(filled)
    assert isinstance(file, FilePostings)
    assert_equal(file, fts)
    with open_writer(filled, MANIFEST) as writer:
        writer.compact()
        writer.build_postings()
    assert_equal(*sources(filled))
    assert verify(filled) == []


def test_postings_in_memory_equal_fts5(filled: Path) -> None:
    """Every term has the same chunks, as often, and the terms between two are the same."""
    _, fts = sources(filled)
    held = HeldPostings(fts.database)
    assert_equal(held, fts)
    assert held.read("absent")[0].tolist() == []
    for first, last, limit in [("", "zzzz", 1000), ("a", "b", 5), (WORDS[3], WORDS[7], 50), ("z", "a", 9)]:
        assert held.between(first, last, limit) == fts.between(first, last, limit)


def test_an_empty_index_has_no_postings_in_memory(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        writer.commit()
    held = HeldPostings(connected(folder))
    assert held.counts(["a"]) == {"a": 0}
    assert held.between("", "z", 9) == []


def test_postings_are_read_into_memory_once_asked_often(filled: Path) -> None:
    """The answers before and after are those of FTS5."""
    _, fts = sources(filled)
    source = held_when_warm(fts, rows=80)
    assert isinstance(source, WarmingPostings)
    assert not source.is_held
    for _ in range(3):
        assert_equal(source, fts)
    assert source.is_held
    assert held_when_warm(fts, rows=HELD_ROWS + 1) is fts


def test_rankings_are_equal_to_the_last_bit(filled: Path) -> None:
    """A reader with the file and one without give the same ids and scores."""
    random = np.random.default_rng(3)
    queries = [[WORDS[i % len(WORDS)] for i in random.zipf(1.3, 5)] for _ in range(60)]
    with open_reader(filled) as reader:
        assert [reader.search_lexical(query, 30) for query in queries]
        with_file = [reader.search_lexical(query, 30) for query in queries]
    next(filled.glob("postings-*")).unlink()
    with open_reader(filled) as reader:
        for query, (ids, scores) in zip(queries, with_file, strict=True):
            expected_ids, expected = reader.search_lexical(query, 30)
            np.testing.assert_array_equal(ids, expected_ids)
            np.testing.assert_array_equal(scores, expected)


def cut(data: bytes) -> bytes:
    return data[:-1]


def emptied(data: bytes) -> bytes:
    return b""


def swapped(data: bytes) -> bytes:
    return data[1:] + data[:1]


@pytest.mark.parametrize("damage", [cut, emptied, swapped])
def test_a_file_that_is_not_complete_is_not_used(filled: Path, damage: Callable[[bytes], bytes]) -> None:
    """FTS5 answers then, verify names the file, and the next build replaces it."""
    file = next(filled.glob("postings-*"))
    file.write_bytes(damage(file.read_bytes()))
    source, fts = sources(filled)
    assert isinstance(source, FtsPostings)
    assert_equal(source, fts)
    assert [(problem.place, problem.what) for problem in verify(filled)] == [
        (file.name, "is not the file that was written")
    ]
    with open_writer(filled, MANIFEST) as writer:
        writer.build_postings()
    assert verify(filled) == []


def test_any_flipped_byte_changes_nothing(filled: Path) -> None:
    """A damaged list is read from FTS5, a damaged dictionary or footer turns the file off."""
    file = next(filled.glob("postings-*"))
    original = file.read_bytes()
    for offset in [*range(0, len(original), 997), *range(len(original) - 40, len(original), 3)]:
        data = bytearray(original)
        data[offset] ^= 0x15
        file.write_bytes(data)
        assert_equal(*sources(filled))


def test_too_many_newer_rows_turn_it_off(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting them would take longer than FTS5, and a large index then gets a new file."""
    monkeypatch.setattr(postings, "MAX_NEWER", 79)
    source, _ = sources(filled)
    assert isinstance(source, FtsPostings)
    monkeypatch.setattr(postings_file, "MAX_NEWER", 79)
    monkeypatch.setattr(postings_file, "FILE_ROWS", 50)
    with open_writer(filled, MANIFEST) as writer:
        writer.maintain()
    source, fts = sources(filled)
    assert isinstance(source, FilePostings)
    assert_equal(source, fts)


def test_a_small_index_has_no_file(folder: Path) -> None:
    """Below FILE_ROWS rows FTS5 is as fast."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [item("a.md", ["one\n"])])
        writer.maintain()
    assert list(folder.glob("postings-*")) == []


def test_an_empty_index(folder: Path) -> None:
    """A file without terms is complete, too."""
    with open_writer(folder, MANIFEST) as writer:
        writer.build_postings()
    source, fts = sources(folder)
    assert_equal(source, fts)


def test_a_file_of_an_older_form_is_replaced(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FTS5 answers until the next ingest."""
    monkeypatch.setattr(postings_file, "FILE_ROWS", 50)
    file = next(filled.glob("postings-*"))
    file.write_bytes(file.read_bytes().replace(postings.MAGIC, b"ragpost1"))
    assert isinstance(sources(filled)[0], FtsPostings)
    with open_writer(filled, MANIFEST) as writer:
        writer.maintain()
    source, fts = sources(filled)
    assert isinstance(source, FilePostings)
    assert_equal(source, fts)


@pytest.mark.parametrize(
    ("largest", "width"), [(0, 0), (1, 1), (255, 1), (256, 2), (65535, 2), (65536, 4), (2**32 - 1, 4)]
)
def test_numbers_take_as_few_bytes_as_the_largest(largest: int, width: int) -> None:
    """Gaps between rows are those that were written, whatever the number of rows."""
    numbers = np.array([0, largest, largest // 2], np.int64)
    data, used = postings_file._packed(numbers)
    assert (used, len(data)) == (width, 3 * width)
    np.testing.assert_array_equal(postings._unpacked(memoryview(data), used, 3), numbers)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_every_call_may_fail(filled: Path, code: int) -> None:
    """Call after call is made to fail until the build gets through; the old file answers each time."""
    for fail_at in range(1, 50):
        disk = FailingDisk(10**9, code)
        with open_writer(filled, MANIFEST, disk=disk) as writer:
            disk._fail_at = disk.calls + fail_at
            try:
                writer.build_postings()
            except IndexStoreError:
                assert_equal(*sources(filled))
            else:
                break
    assert fail_at > 3
    assert_equal(*sources(filled))
    open_writer(filled, MANIFEST).close()
    assert verify(filled) == []
