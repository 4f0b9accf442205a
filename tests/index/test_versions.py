"""Indexes of other versions are refused by name, with the command that rebuilds them, and stay as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rag_search.errors import FingerprintError
from rag_search.index import open_reader, open_writer, verify
from tests.index.world import MANIFEST, item, put, set_version

ITEMS = {each.path: each for each in (item(f"{i}.md", [f"word{i} one\n", f"word{i} two\n"]) for i in range(20))}


@pytest.fixture
def filled(folder: Path) -> Path:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.set_roots(["docs"])
        writer.set_base(folder.parent)
        writer.commit()
    return folder


@pytest.mark.parametrize("version", [1, 2, 3, 99])
def test_another_version_is_refused(filled: Path, version: int) -> None:
    """Reader, writer and verify name both versions and the command; nothing is changed."""
    set_version(filled, version)
    before = {file.name: file.read_bytes() for file in filled.glob("*-0*")}
    for attempt in (open_reader, verify, lambda place: open_writer(place, MANIFEST)):
        with pytest.raises(
            FingerprintError,
            match=rf"schema_version {version}, this program reads 4\. Run: ragsearch ingest --rebuild",
        ):
            attempt(filled)
    assert {file.name: file.read_bytes() for file in filled.glob("*-0*")} == before


@pytest.mark.parametrize("version", [1, 2, 3, 99])
def test_a_rebuild_keeps_roots_and_base(filled: Path, version: int) -> None:
    """A rebuild starts from the folders that the refused index was made from."""
    with open_reader(filled) as reader:
        before = reader.base()
    set_version(filled, version)
    with open_writer(filled, MANIFEST, rebuild=True) as writer:
        assert (writer.roots(), writer.base()) == (["docs"], before)
        assert dict(writer.files()) == {}
    assert verify(filled) == []


def test_segments_of_an_older_form_are_refused(filled: Path) -> None:
    """Token vectors of four bits a dimension (until December 2026) stay, and a rebuild removes them."""
    tokens, older = filled / "tokens-000001.u3", filled / "tokens-000001.u4"
    content = tokens.rename(older).read_bytes()
    with closing(sqlite3.connect(filled / "meta.db")) as database, database:
        database.execute("UPDATE segments SET name = ? WHERE kind = 'tokens'", (older.name,))
    for attempt in (open_reader, verify, lambda place: open_writer(place, MANIFEST)):
        with pytest.raises(FingerprintError, match=r"older form, tokens-000001\.u4\. Run: ragsearch ingest --rebuild"):
            attempt(filled)
    assert older.read_bytes() == content
    open_writer(filled, MANIFEST, rebuild=True).close()
    assert not older.exists()
