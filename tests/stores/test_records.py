"""What goes into a store comes out again, bit by bit; and what is removed is gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rag_search.errors import FingerprintError, IndexLockedError, IndexMissingError, InputError
from rag_search.index import FileState, IndexManifest
from rag_search.records import Encoded
from tests.index.world import MANIFEST, Item, assert_holds, put
from tests.stores.harness import StoreUnderTest, item

A = item("docs/a.md", ["redis timeout\n", "连接 超时\n"], metadata={"tags": ["x"]}, updated="2026-01-02")
B = item("docs/b.md", ["second file\n"])
EMPTY = item("docs/empty.md", [], rest="  \n\n")
STRANGE = item(
    "docs/strange.md",
    ["nul \0 inside\n", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 🧪 words\n", ("x" * 20_000 + " ") * 4, "汉字 " * 20_000, "\r\nline end"],
)
PATHS = [
    "%", "_", "a%b_c", "'", '"', "\\", "a\\b", '\\"', "new\nline", "tab\there", "中文/文件.md", "{p}", "%s", "$1", ":x",
    "e\u0301.md", "\u00e9.md", "' OR 1=1 --", "'; DROP TABLE documents; --", " ", "a" * 4000,
    "é" * 1300 + "1", "é" * 1300 + "2",
]  # fmt: skip


def held(*items: Item) -> dict[str, Item]:
    return {each.path: each for each in items}


def fill(store: StoreUnderTest, *items: Item) -> None:
    with store.writer() as writer:
        put(writer, items)
        writer.commit()


def test_round_trip(store: StoreUnderTest) -> None:
    with store.writer() as writer:
        put(writer, [A, B, EMPTY, STRANGE])
        writer.commit()
        assert dict(writer.files()) == {each.path: each.state for each in (A, B, EMPTY, STRANGE)}
    with store.reader() as reader:
        assert_holds(reader, held(A, B, EMPTY, STRANGE))
        assert reader.manifest == MANIFEST
        assert dict(reader.files()) == {each.path: each.state for each in (A, B, EMPTY, STRANGE)}
        assert list(dict(reader.files())) == reader.documents()
        assert (reader.counts.documents, reader.counts.chunks) == (4, 8)
    assert store.verify() == []


def test_hostile_paths(store: StoreUnderTest) -> None:
    """Each path is one document, found by itself and removed alone."""
    items = [item(path, [f"text number{number}\n"]) for number, path in enumerate(PATHS)]
    fill(store, *items)
    with store.reader() as reader:
        assert_holds(reader, held(*items))
    for number in (0, 1, 9, 17, 18, 20, 21):
        with store.writer() as writer:
            writer.remove([PATHS[number]])
            writer.commit()
            items = [each for each in items if each.path != PATHS[number]]
            assert dict(writer.files()) == {each.path: each.state for each in items}
    with store.reader() as reader:
        assert_holds(reader, held(*items))
    assert store.verify() == []


def test_uncommitted_is_not_there(store: StoreUnderTest) -> None:
    fill(store, A)
    with store.writer() as writer:
        put(writer, [B])
        writer.remove([A.path])
    with store.reader() as reader:
        assert_holds(reader, held(A))


def test_put_replaces(store: StoreUnderTest) -> None:
    newer = item(A.path, ["quite other words\n"])
    fill(store, A, B)
    fill(store, newer)
    with store.reader() as reader:
        assert_holds(reader, held(newer, B))
        assert len(reader.search_lexical(["redis"], 9)[0]) == 0
        assert len(reader.search_lexical(["quite"], 9)[0]) == 1
    assert store.verify() == []


def test_last_of_two_puts_wins(store: StoreUnderTest) -> None:
    newer = item(A.path, ["quite other words\n"])
    fill(store, A, newer, B)
    with store.reader() as reader:
        assert_holds(reader, held(newer, B))


def test_remove_of_a_pending_document(store: StoreUnderTest) -> None:
    with store.writer() as writer:
        put(writer, [A, B])
        writer.remove([A.path, "not/there.md"])
        writer.commit()
    with store.reader() as reader:
        assert_holds(reader, held(B))


def test_known_passages_are_found(store: StoreUnderTest) -> None:
    fill(store, A, B)
    with store.writer() as writer:
        passages = [*(chunk.passage for chunk in A.chunks), "not stored"]
        stored = writer.stored(passages)
        assert list(stored) == passages[:2]
        for row, passage in enumerate(passages[:2]):
            np.testing.assert_array_equal(stored[passage].vectors, A.encoded.vectors[row : row + 1])
            assert stored[passage].tokens is not None and A.encoded.tokens is not None
            start, length = int(A.encoded.tokens.lengths[:row].sum()), int(A.encoded.tokens.lengths[row])
            np.testing.assert_array_equal(stored[passage].tokens.rows, A.encoded.tokens.rows[start : start + length])


def test_touch_changes_the_state_only(store: StoreUnderTest) -> None:
    fill(store, A)
    state = FileState(99, 5, A.state.content_hash)
    with store.writer() as writer:
        writer.touch(A.path, state)
        writer.commit()
    with store.reader() as reader:
        assert dict(reader.files()) == {A.path: state}
        assert_holds(reader, held(A))


def test_new_chunking_makes_all_outdated(store: StoreUnderTest) -> None:
    fill(store, A, B)
    with store.writer() as writer:
        writer.set_chunking("rules 2")
        put(writer, [B])
        writer.commit()
    with store.reader() as reader:
        assert reader.chunking() == "rules 2"
        assert {path: state.size for path, state in dict(reader.files()).items()} == {A.path: -1, B.path: B.state.size}


def test_roots_are_kept(store: StoreUnderTest) -> None:
    with store.writer() as writer:
        writer.set_roots(["b", "a", "a"])
        writer.commit()
        assert writer.roots() == ["a", "b"]
    with store.reader() as reader:
        assert reader.roots() == ["a", "b"]


def test_rebuild_keeps_the_roots_only(store: StoreUnderTest) -> None:
    with store.writer() as writer:
        put(writer, [A])
        writer.set_roots(["docs"])
        writer.commit()
    other = IndexManifest("other", "0" * 64, 8, 0, "1")
    with store.reader() as before:
        with store.writer(other, rebuild=True) as writer:
            assert writer.roots() == ["docs"]
            assert dict(writer.files()) == {}
            writer.commit()
        assert_holds(before, held(A))  # a reader keeps what it has opened
        assert before.is_stale()
    with store.reader() as reader:
        assert reader.documents() == []
        assert reader.manifest == other


def test_another_manifest_is_refused(store: StoreUnderTest) -> None:
    fill(store, A)
    for other in (
        IndexManifest("other", "0" * 64, 16, 8, "1"),
        IndexManifest(MANIFEST.embedder_name, MANIFEST.embedder_fingerprint, 8, 8, "1"),
    ):
        with pytest.raises(FingerprintError):
            store.writer(other)
    with store.writer() as writer:  # and the lease was given back
        assert dict(writer.files()) == {A.path: A.state}


def test_no_index_is_said(store: StoreUnderTest) -> None:
    with pytest.raises(IndexMissingError, match="ragsearch ingest"):
        store.reader()


def test_parts_must_fit(store: StoreUnderTest) -> None:
    with store.writer() as writer:
        with pytest.raises(ValueError, match="vectors"):
            writer.put(A.document, A.chunks, Encoded(A.encoded.vectors[:, :8]), A.terms, state=A.state)
        half_a_pair = replace(A.document, title="\ud800")
        with pytest.raises(InputError):
            writer.put(half_a_pair, A.chunks, A.encoded, A.terms, state=A.state)
        put(writer, [B])
        writer.commit()
    with store.reader() as reader:
        assert_holds(reader, held(B))


def test_second_writer_is_refused(store: StoreUnderTest) -> None:
    with store.writer() as writer:
        put(writer, [A])
        writer.commit()
        with pytest.raises(IndexLockedError):
            store.writer()
        put(writer, [B])
        writer.commit()
    fill(store, EMPTY)
    with store.reader() as reader:
        assert_holds(reader, held(A, B, EMPTY))


def test_maintenance_changes_no_answer(store: StoreUnderTest) -> None:
    """Compaction and approximate indexes leave documents and rankings as they are."""
    items = [item(f"docs/{number}.md", [f"word{number} common text\n", f"part two {number}\n"]) for number in range(40)]
    fill(store, *items)
    with store.writer() as writer:
        writer.remove([each.path for each in items[:20]])
        writer.maintain()
    with store.reader() as reader:
        assert_holds(reader, held(*items[20:]))
    assert store.verify() == []
