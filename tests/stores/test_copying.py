"""Copies hold what their source holds, whichever the kinds of store."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_search.errors import FingerprintError
from rag_search.index import IndexManifest
from rag_search.index.copying import CopyReport, copy_store
from tests.index.world import MANIFEST, assert_holds, put
from tests.stores.harness import StoreUnderTest
from tests.stores.test_search import QUERIES, by_place, documents


def test_copy_there_and_back(store: StoreUnderTest, local: StoreUnderTest, tmp_path: Path) -> None:
    """Documents, encodings, rankings and notes are the same after two copies."""
    items = documents(40)
    with local.writer() as writer:
        put(writer, items)
        writer.set_roots(["docs"])
        writer.set_chunking("rules 7")
        put(writer, items[:30])
        writer.set_base(tmp_path)
        writer.commit()
    back = StoreUnderTest(tmp_path / "back")
    chunks = sum(len(each.chunks) for each in items)
    for source, target in ((local, store), (store, back)):
        with source.reader() as reader, target.writer() as writer:
            assert copy_store(reader, writer) == CopyReport(40, 0, 0, chunks)
        with source.reader() as reader, target.writer() as writer:
            assert copy_store(reader, writer) == CopyReport(0, 40, 0, 0)
        assert target.verify() == []
    with back.reader() as reader, local.reader() as original:
        assert_holds(reader, {each.path: each for each in items})
        assert dict(reader.files()) == dict(original.files())
        assert (reader.roots(), reader.chunking()) == (["docs"], "rules 7")
        for terms in QUERIES:
            found = by_place(reader, *reader.search_lexical(terms, 500))
            assert found == by_place(original, *original.search_lexical(terms, 500))


def test_copy_removes_what_the_source_has_not(store: StoreUnderTest, local: StoreUnderTest) -> None:
    items = documents(8)
    with store.writer() as writer:
        put(writer, items)
        writer.commit()
    with local.writer() as writer:
        put(writer, [*items[:3], *documents(8, seed=9)[3:4]])
        writer.commit()
    with local.reader() as reader, store.writer() as writer:
        report = copy_store(reader, writer)
    assert (report.copied, report.kept, report.removed) == (1, 3, 4)
    with store.reader() as reader:
        assert_holds(reader, {each.path: each for each in [*items[:3], *documents(8, seed=9)[3:4]]})


def test_target_of_another_model_is_refused(store: StoreUnderTest, local: StoreUnderTest) -> None:
    with local.writer(IndexManifest("other", "0" * 64, 8, 0, "1")) as writer:
        writer.commit()
    with store.writer() as writer:
        writer.commit()
    with local.reader() as reader, pytest.raises(FingerprintError):
        store.writer(reader.manifest)
    assert store.writer(MANIFEST).close() is None
