"""Documents that are stored before their vectors: found by words, completed later, at no moment wrong."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from rag_search.errors import IndexStoreError, InputError
from rag_search.index import IndexWriter, open_reader, open_writer, verify
from rag_search.index.copying import copy_store
from rag_search.index.store.disk import DISK, Disk
from rag_search.records import Encoded, TokenVectors, packed_bytes
from tests.index.test_failures import FailingDisk
from tests.index.world import DIM, MANIFEST, TOKEN_DIM, Item, assert_holds, encode, item, put, random_unit

WHOLE = {each.path: each for each in (item(f"{i}.md", [f"whole{i} one\n", f"whole{i} two\n"]) for i in range(4))}
LATER = {each.path: each for each in (item(f"n{i}.md", [f"later{i} one\n", f"later{i} two\n"]) for i in range(3))}
ALL = WHOLE | LATER


def zeros(count: int) -> Encoded:
    lengths = np.zeros(count, np.int64)
    tokens = TokenVectors(np.empty((0, packed_bytes(TOKEN_DIM)), np.uint8), lengths, lengths)
    return Encoded(np.zeros((count, DIM), np.float32), tokens)


def put_words(writer: IndexWriter, items: Sequence[Item]) -> None:
    for each in items:
        count = len(each.chunks)
        pending = range(count)
        writer.put(each.document, each.chunks, zeros(count), each.terms, state=each.state, pending=pending)


def complete(writer: IndexWriter, limit: int = 2) -> None:
    while waiting := writer.pending(limit):
        writer.complete([chunk_id for chunk_id, _ in waiting], encode([passage for _, passage in waiting]))
        writer.commit()


def staged(folder: Path, *, disk: Disk = DISK) -> None:
    with open_writer(folder, MANIFEST, disk=disk) as writer:
        put(writer, WHOLE.values())
        writer.commit()
        put_words(writer, list(LATER.values()))
        writer.commit()


def test_words_are_found_before_vectors(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    with open_reader(tmp_path / "index") as reader:
        assert (reader.pending_count, reader.counts.pending, reader.counts.chunks) == (6, 6, 14)
        ids, _ = reader.search_lexical(["later1"], 10)
        assert sorted(chunk.path for chunk in reader.chunks(ids.tolist())) == ["n1.md", "n1.md"]
        found, _ = reader.search_dense(random_unit(1), 20)
        assert {chunk.path for chunk in reader.chunks(found[found >= 0].tolist())} == set(WHOLE)
    assert verify(tmp_path / "index") == []


def test_a_completed_index_is_that_of_whole_documents(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        complete(writer)
        assert writer.pending_count() == 0
    with open_reader(tmp_path / "index") as reader:
        assert_holds(reader, ALL)
        assert reader.pending_count == 0
    assert verify(tmp_path / "index") == []


def test_a_reader_encodes_candidates_without_vectors(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    with open_reader(tmp_path / "index") as reader:
        ids = [chunk.chunk_id for path in ("1.md", "n2.md") for chunk in reader.document_chunks(path)]
        assert not reader.vectors(ids)[2:].any()
        reader.encode_with(encode)
        vectors, tokens = reader.vectors(ids), reader.token_vectors(ids)
    expected = encode([chunk.passage for path in ("1.md", "n2.md") for chunk in ALL[path].chunks])
    np.testing.assert_allclose(vectors, expected.vectors, atol=1e-3)
    assert expected.tokens is not None
    np.testing.assert_array_equal(tokens.rows, expected.tokens.rows)
    np.testing.assert_array_equal(tokens.lengths, expected.tokens.lengths)
    np.testing.assert_array_equal(tokens.token_counts, expected.tokens.token_counts)


def test_zeros_are_never_taken_for_a_passage_that_is_stored(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    passages = [chunk.passage for path in ("0.md", "n0.md") for chunk in ALL[path].chunks]
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        assert list(writer.stored(passages)) == passages[:2]
        complete(writer)
        assert list(writer.stored(passages)) == passages


def test_a_document_removed_or_replaced_is_not_pending(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    other = item("n1.md", ["quite another\n"])
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        writer.remove(["n0.md"])
        put(writer, [other])
        writer.commit()
        assert [passage for _, passage in writer.pending(9)] == [chunk.passage for chunk in LATER["n2.md"].chunks]
    assert verify(tmp_path / "index") == []


def test_compaction_keeps_what_is_pending(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        writer.remove(["0.md", "n1.md", "2.md"])
        writer.commit()
        writer.compact()
    assert verify(tmp_path / "index") == []
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        assert writer.pending_count() == 4
        complete(writer)
    with open_reader(tmp_path / "index") as reader:
        assert_holds(reader, {path: each for path, each in ALL.items() if path not in ("0.md", "n1.md", "2.md")})
    assert verify(tmp_path / "index") == []


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_failure_at_any_write_loses_nothing(tmp_path: Path, code: int) -> None:
    """Vectors are written over zeros: a write that is cut off anywhere leaves the chunk without vectors."""
    for fail_at in range(1, 60):
        folder = tmp_path / str(fail_at)
        staged(folder)
        disk = FailingDisk(fail_at, code)
        try:
            with open_writer(folder, MANIFEST, disk=disk) as writer:
                complete(writer)
        except (IndexStoreError, OSError):
            pass
        else:
            assert fail_at > 10
            return
        assert verify(folder) == []
        with open_writer(folder, MANIFEST) as writer:
            complete(writer)
        with open_reader(folder) as reader:
            assert_holds(reader, ALL)
        assert verify(folder) == []
    raise AssertionError("the writes never end")


def test_a_copy_waits_for_the_vectors(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    with (
        open_reader(tmp_path / "index") as source,
        open_writer(tmp_path / "copy", MANIFEST) as target,
        pytest.raises(InputError, match=r"6 passages of .* have no vectors yet"),
    ):
        copy_store(source, target)


def test_vectors_that_are_not_unit_are_refused(tmp_path: Path) -> None:
    staged(tmp_path / "index")
    with open_writer(tmp_path / "index", MANIFEST) as writer:
        ids = [chunk_id for chunk_id, _ in writer.pending(2)]
        with pytest.raises(ValueError, match="unit"):
            writer.complete(ids, zeros(2))
        assert writer.pending_count() == 6
