"""Writing and reading back: what a writer promises, one thing at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rag_search.errors import (
    FingerprintError,
    IndexCorruptError,
    IndexLockedError,
    IndexMissingError,
    InputError,
)
from rag_search.index import FileState, IndexManifest, open_reader, open_writer, verify
from rag_search.index.store.database import connect
from rag_search.records import Encoded
from tests.index.world import MANIFEST, assert_holds, encode, item, put, random_unit, stored

A = item("docs/a.md", ["redis timeout\n", "连接 超时\n"], metadata={"tags": ["x"]}, updated="2026-01-02")
B = item("docs/b.md", ["second file\n"])
EMPTY = item("docs/empty.md", [], rest="  \n\n")


def test_documents_come_back_as_they_went_in(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A, B, EMPTY])
        writer.commit()
        assert dict(writer.files()) == {each.path: each.state for each in (A, B, EMPTY)}
    with open_reader(folder) as reader:
        assert_holds(reader, {each.path: each for each in (A, B, EMPTY)})
        assert reader.manifest == MANIFEST
    assert verify(folder) == []


def test_what_was_not_committed_is_not_there(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        writer.commit()
        put(writer, [B])
    with open_reader(folder) as reader:
        assert_holds(reader, {A.path: A})
    with open_writer(folder, MANIFEST) as writer:  # and its rows are not in the way of the next ones
        put(writer, [EMPTY, B])
        writer.commit()
    with open_reader(folder) as reader:
        assert_holds(reader, {each.path: each for each in (A, B, EMPTY)})
    assert verify(folder) == []


def test_put_replaces_and_the_old_terms_go(folder: Path) -> None:
    newer = item(A.path, ["quite other words\n"])
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A, B])
        writer.commit()
        put(writer, [newer])
        writer.commit()
    with open_reader(folder) as reader:
        assert_holds(reader, {A.path: newer, B.path: B})
        assert reader.search_lexical(["redis"], 5)[0].tolist() == []
        assert reader.counts.deleted == 2


def test_stored_gives_what_was_embedded(folder: Path) -> None:
    passages = [chunk.passage for chunk in A.chunks]
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A, B])
        known = writer.stored([*passages, "never seen"])  # also before the commit
        assert list(known) == passages
        for passage in passages:
            wanted = encode([passage])
            np.testing.assert_array_equal(known[passage].vectors, stored(wanted.vectors))
            assert known[passage].tokens is not None and wanted.tokens is not None
            np.testing.assert_array_equal(known[passage].tokens.rows, wanted.tokens.rows)


def test_touch_and_roots(folder: Path) -> None:
    state = FileState(9, 8, A.state.content_hash)
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        writer.touch(A.path, state)
        writer.set_roots(["/b", "/a", "/a"])
        writer.commit()
    with open_writer(folder, MANIFEST) as writer:
        assert dict(writer.files()) == {A.path: state}
        assert writer.roots() == ["/a", "/b"]
    with open_reader(folder) as reader:
        assert reader.roots() == ["/a", "/b"]


def test_a_commit_without_changes_makes_no_generation(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        writer.commit()
        with open_reader(folder) as reader:
            writer.remove([])
            writer.commit()
            assert not reader.is_stale()
            writer.remove([A.path])
            writer.commit()
            assert reader.is_stale()
            assert_holds(reader, {A.path: A})


def test_a_commit_of_nothing_lets_others_write(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        writer.remove(["nowhere.md"])
        writer.commit()
        other = connect(folder, writer=True)
        other.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        other.close()


def test_queries_of_another_dimension_are_refused(folder: Path) -> None:
    open_writer(folder, MANIFEST).close()
    with open_reader(folder) as reader, pytest.raises(FingerprintError, match=r"dim 16, not 8\. Run: .*--rebuild"):
        reader.search_dense(random_unit(1, 8), 3)


def test_compaction_gives_rows_back(folder: Path) -> None:
    items = {each.path: each for each in (item(f"{i}.md", [f"word{i} a\n", f"word{i} b\n"]) for i in range(20))}
    with open_writer(folder, MANIFEST) as writer:
        put(writer, items.values())
        writer.remove(["3.md"])
        writer.maintain()  # a tenth is dead: nothing to do
        with open_reader(folder) as before:
            assert before.counts.deleted == 2
            for path in ("3.md", "4.md", "7.md", "11.md", "12.md"):
                items.pop(path)
            writer.remove(["4.md", "7.md", "11.md", "12.md"])
            writer.maintain()
            assert before.is_stale()
            ids, _ = before.search_dense(encode(["x"]).vectors, 5)  # the files it reads have lost their names
            assert before.chunks(ids[0].tolist())
        with open_reader(folder) as after:
            assert after.counts.deleted == 0
            assert_holds(after, items)
    assert verify(folder) == []
    assert sorted(file.name for file in folder.glob("*-*.*")) == [
        "lengths-000002.i32",
        "tokens-000002.u3",
        "vectors-000002.f16",
    ]


def test_second_writer_is_told_who_holds_the_lock(folder: Path) -> None:
    import os

    with open_writer(folder, MANIFEST), pytest.raises(IndexLockedError, match=f"pid {os.getpid()}"):
        open_writer(folder, MANIFEST)
    open_writer(folder, MANIFEST).close()


def test_another_embedder_is_refused_and_may_rebuild(folder: Path) -> None:
    other = IndexManifest("other", "e" * 64, 16, 0, "1")
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        writer.set_roots(["/docs"])
        writer.commit()
    with pytest.raises(FingerprintError, match="ragsearch ingest --rebuild"):
        open_writer(folder, other)
    with open_reader(folder) as old:
        with open_writer(folder, other, rebuild=True) as writer:
            assert dict(writer.files()) == {}
            assert writer.roots() == ["/docs"]
            writer.put(B.document, B.chunks, Encoded(B.encoded.vectors), B.terms, state=B.state)
            writer.commit()
        assert_holds(old, {A.path: A})  # it still has the files it opened
        assert old.is_stale()
    with open_reader(folder) as reader:
        assert reader.documents() == [B.path]
        with pytest.raises(InputError, match="no token vectors"):
            reader.token_vectors([0])
    assert verify(folder) == []


@pytest.mark.parametrize("what", ["dim", "token_dim", "lexical_version", "schema_version"])
def test_every_part_of_the_manifest_counts(folder: Path, what: str) -> None:
    from dataclasses import replace

    open_writer(folder, MANIFEST).close()
    other: dict[str, object] = {"dim": 8, "token_dim": 0, "lexical_version": "2", "schema_version": 99}
    with pytest.raises(FingerprintError, match=what):
        open_writer(folder, replace(MANIFEST, **{what: other[what]}))  # type: ignore[arg-type]


def test_no_index_yet(folder: Path) -> None:
    with pytest.raises(IndexMissingError, match="ragsearch ingest PATH"):
        open_reader(folder)
    with pytest.raises(IndexMissingError):
        verify(folder)
    folder.mkdir()
    (folder / "meta.db").touch()  # a writer was killed in its first millisecond
    with pytest.raises(IndexMissingError):
        open_reader(folder)
    open_writer(folder, MANIFEST).close()
    open_reader(folder).close()


def test_a_database_that_is_none_can_be_rebuilt(folder: Path) -> None:
    folder.mkdir()
    (folder / "meta.db").write_bytes(b"no database at all" * 1000)
    for opener in (lambda: open_reader(folder), lambda: open_writer(folder, MANIFEST)):
        with pytest.raises(IndexCorruptError, match="--rebuild"):
            opener()
    open_writer(folder, MANIFEST, rebuild=True).close()
    assert verify(folder) == []


def test_a_missing_segment_is_named(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        writer.commit()
    (folder / "vectors-000001.f16").unlink()
    for opener in (lambda: open_reader(folder), lambda: open_writer(folder, MANIFEST)):
        with pytest.raises(IndexCorruptError, match=r"vectors-000001\.f16 is missing.*--rebuild"):
            opener()


def test_parts_that_do_not_fit_are_refused(folder: Path) -> None:
    """Parts that do not fit together are refused, and nothing is written."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        with pytest.raises(ValueError, match="partition"):
            writer.put(A.document, B.chunks, B.encoded, B.terms, state=A.state)
        with pytest.raises(ValueError, match="unit"):
            broken = Encoded(B.encoded.vectors * np.float32(np.nan), B.encoded.tokens)
            writer.put(B.document, B.chunks, broken, B.terms, state=B.state)
        with pytest.raises(ValueError, match="columns"):
            writer.put(B.document, B.chunks, Encoded(np.eye(1, 8, dtype=np.float32)), B.terms, state=B.state)
        with pytest.raises(InputError, match="surrogate"):
            put(writer, [_with_title(B, "half \ud83d")])
        writer.commit()
    with open_reader(folder) as reader:
        assert_holds(reader, {A.path: A})


def test_odd_text_survives(folder: Path) -> None:
    odd = item("näme \U0001f600/ü 'q' \"d\".md", ["nul \0 inside\r\n", "\u2028 \ufeff \x1b[0m\n", "x" * 100_000])
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [odd])
        writer.commit()
    with open_reader(folder) as reader:
        assert reader.document(odd.path) == odd.document
        assert [c.text for c in reader.document_chunks(odd.path)] == [c.text for c in odd.chunks]
    assert verify(folder) == []


def test_unknown_ids_and_paths(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [A])
        writer.commit()
    with open_reader(folder) as reader:
        with pytest.raises(KeyError):
            reader.chunks([99])
        with pytest.raises(InputError, match=r"nope\.md"):
            reader.document("nope.md")
        assert [chunk.ordinal for chunk in reader.chunks([1, 0, 1])] == [1, 0, 1]


def _with_title(each: object, title: str) -> object:
    from dataclasses import replace

    return replace(each, document=replace(each.document, title=title))  # type: ignore[attr-defined, type-var]
