"""An index of the first version: refused by readers, brought up to date by the next writer, without embedding."""

from __future__ import annotations

import errno
import json
import sqlite3
from pathlib import Path

import pytest

from rag_search.errors import FingerprintError, IndexStoreError
from rag_search.index import open_reader, open_writer, verify
from tests.index.test_failures import FailingDisk
from tests.index.world import MANIFEST, assert_holds, item, put

ITEMS = {each.path: each for each in (item(f"{i}.md", [f"word{i} one\n", f"word{i} two\n"]) for i in range(20))}


@pytest.fixture
def old(folder: Path) -> Path:
    """As version 1 wrote it: no segment of lengths, no view of the postings. Two of its rows are dead."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, [*ITEMS.values(), item("gone.md", ["gone one\n", "gone two\n"])])
        writer.remove(["gone.md"])
        writer.commit()
    set_version(folder, 1)
    database = sqlite3.connect(folder / "meta.db", isolation_level=None)
    database.execute("DROP TABLE lexical_places")
    database.execute("DELETE FROM segments WHERE kind = 'lengths'")
    database.close()
    (folder / "lengths-000001.i32").unlink()
    return folder


def set_version(folder: Path, version: int) -> None:
    database = sqlite3.connect(folder / "meta.db", isolation_level=None)
    (manifest,) = database.execute("SELECT value FROM meta WHERE key = 'manifest'").fetchone()
    changed = json.dumps(json.loads(manifest) | {"schema_version": version})
    database.execute("UPDATE meta SET value = ? WHERE key = 'manifest'", (changed,))
    database.close()


def test_a_reader_names_the_command(old: Path) -> None:
    with pytest.raises(FingerprintError, match=r"schema_version 1, this program reads 2\. Run: ragsearch ingest$"):
        open_reader(old)


def test_a_writer_upgrades(old: Path) -> None:
    open_writer(old, MANIFEST).close()
    assert verify(old) == []
    with open_reader(old) as reader:
        assert reader.manifest == MANIFEST
        assert_holds(reader, ITEMS)


def test_an_upgrade_that_fails_changes_nothing(old: Path) -> None:
    for fail_at in range(1, 100):
        try:
            open_writer(old, MANIFEST, disk=FailingDisk(fail_at, errno.EIO)).close()
            break
        except IndexStoreError:
            pass
    assert fail_at > 3
    assert verify(old) == []
    with open_reader(old) as reader:
        assert_holds(reader, ITEMS)


def test_a_newer_version_is_refused(old: Path) -> None:
    set_version(old, 99)
    with pytest.raises(FingerprintError, match=r"schema_version 99.*--rebuild"):
        open_reader(old)
    with pytest.raises(FingerprintError, match=r"schema_version 99.*--rebuild"):
        open_writer(old, MANIFEST)


def test_segments_of_an_older_form_are_refused_and_stay(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
    tokens, older = (
        folder / "tokens-000001.u4",
        folder / "tokens-000001.i8",
    )  # one byte a dimension, until November 2026
    kept = tokens.rename(older).read_bytes()
    with sqlite3.connect(folder / "meta.db") as database:
        database.execute("UPDATE segments SET name = ? WHERE kind = 'tokens'", (older.name,))
    for attempt in (open_reader, verify, lambda place: open_writer(place, MANIFEST)):
        with pytest.raises(FingerprintError, match=r"older form, tokens-000001\.i8\. Run: ragsearch ingest --rebuild"):
            attempt(folder)
    assert older.read_bytes() == kept
    open_writer(folder, MANIFEST, rebuild=True).close()
    assert not older.exists()
