"""Roots and the base of an index that is moved, copied or opened from elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rag_search.errors import FingerprintError
from rag_search.index import open_reader, open_writer
from rag_search.index.store.base_path import read_base_path
from rag_search.ingest import known_roots, recorded_roots, sync_folders
from tests.index.world import set_version
from tests.ingest.syncing import EMBEDDER, MANIFEST, sync


def roots_of(folder: Path) -> list[Path]:
    with open_reader(folder / "index") as reader:
        return known_roots(reader, base=folder)


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


@pytest.mark.parametrize("version", [2, 99])
def test_a_rebuild_knows_the_roots_of_another_version(docs: Path, tmp_path: Path, version: int) -> None:
    """An index that is refused still tells which folders it was made from."""
    sync(docs)
    set_version(tmp_path / "index", version)
    with pytest.raises(FingerprintError):
        open_reader(tmp_path / "index")
    assert recorded_roots(tmp_path / "index", base=Path("/elsewhere")) == [docs]
    assert recorded_roots(tmp_path / "nothing", base=tmp_path) == []
