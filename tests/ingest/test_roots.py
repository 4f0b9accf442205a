"""Roots and the base of an index that is moved, copied or opened from elsewhere."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from rag_search.index import open_reader, open_writer
from rag_search.index.store.base_path import read_base_path
from rag_search.ingest import known_roots, sync_folders
from tests.ingest.syncing import EMBEDDER, MANIFEST, sync


def roots_of(folder: Path) -> list[Path]:
    with open_reader(folder / "index") as reader:
        return known_roots(reader, base=folder)


def forget_base(index: Path, *roots: str) -> None:
    """Make the index one of before it noted a base, with absolute roots."""
    database = sqlite3.connect(index / "meta.db", isolation_level=None)
    database.execute("DELETE FROM meta WHERE key = 'base'")
    database.execute("DELETE FROM roots")
    database.executemany("INSERT INTO roots VALUES (?)", [(root,) for root in roots])
    database.close()


def test_roots_go_with_the_folder_they_lie_in(docs: Path, tmp_path: Path) -> None:
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    outside.mkdir()
    (outside / "x.md").write_text("x\n", "utf-8")
    sync(docs, EMBEDDER, outside)
    copy = tmp_path / "copy"
    shutil.copytree(docs.parent / "index", copy / "index")
    assert roots_of(copy) == [outside, copy / "docs"]
    assert read_base_path(copy / "index") == copy


def test_a_base_beside_the_index_is_noted_where_it_is(docs: Path, tmp_path: Path) -> None:
    with open_writer(tmp_path / "far" / "index", MANIFEST) as writer:
        sync_folders(writer, EMBEDDER, [docs], base=docs)
        assert writer.roots() == ["."]
    assert read_base_path(tmp_path / "far" / "index") == docs
    with open_writer(tmp_path / "far" / "index", MANIFEST, rebuild=True) as writer:
        assert (writer.roots(), writer.base()) == (["."], str(docs))


def test_what_cannot_be_read_notes_nothing(tmp_path: Path) -> None:
    assert read_base_path(tmp_path / "nowhere") is None
    (tmp_path / "meta.db").write_bytes(b"garbage" * 1000)
    assert read_base_path(tmp_path) is None


def test_absolute_roots_of_an_older_base_are_found_by_their_documents(docs: Path, tmp_path: Path) -> None:
    sync(docs)
    for old, now in (("/old/pj/docs", "docs"), ("/old/pj/docs/deep", "docs/deep"), ("/old/pj", ".")):
        forget_base(tmp_path / "index", old)
        assert roots_of(tmp_path) == [tmp_path / now], old
    forget_base(tmp_path / "index", "/old/pj/docs", "/elsewhere/notes")
    assert roots_of(tmp_path) == [Path("/elsewhere/notes"), tmp_path / "docs"]
    forget_base(tmp_path / "index", str(docs))
    assert roots_of(tmp_path) == [docs]


def test_a_sync_brings_roots_of_an_older_base_into_the_new_form(docs: Path, tmp_path: Path) -> None:
    sync(docs)
    forget_base(tmp_path / "index", "/old/pj/docs")
    assert sync(docs).unchanged == 3
    with open_reader(tmp_path / "index") as reader:
        assert (reader.roots(), reader.base()) == (["docs"], "..")
