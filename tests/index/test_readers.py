"""Readers beside a writer, and many threads on one reader."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

from rag_search.errors import IndexMissingError, IndexStoreError
from rag_search.index import open_reader, open_writer
from rag_search.index.store import state
from rag_search.index.store.database import connect
from tests.index.world import MANIFEST, assert_holds, item, put

ITEMS = {each.path: each for each in (item(f"{i}.md", [f"word{i} one\n", f"both{i % 3} two\n"]) for i in range(30))}


def test_many_threads_get_the_same_answers(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
    with open_reader(folder) as reader, ThreadPoolExecutor(8) as pool:
        for job in [pool.submit(assert_holds, reader, ITEMS) for _ in range(24)]:
            job.result()


def test_rows_of_chunks_looked_at_are_those_of_the_files(folder: Path) -> None:
    """Vectors and token vectors are equal before and after the chunks were read, in any order and together."""
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
    ids = [17, 3, 59, 4, 3]
    with open_reader(folder) as reader:
        vectors, tokens = reader.vectors(ids), reader.token_vectors(ids)
        reader.chunks(ids[:2])  # some of them: the files are read
        assert_array_equal(reader.vectors(ids), vectors)
        reader.chunks(ids)
        assert_array_equal(reader.vectors(ids), vectors)
        kept = reader.token_vectors(ids)
        for one, other in ((kept.rows, tokens.rows), (kept.lengths, tokens.lengths), (kept.counts, tokens.counts)):
            assert_array_equal(one, other)
        assert reader.vectors([]).shape == (0, vectors.shape[1])


def test_closing_waits_for_a_search_in_another_thread(folder: Path) -> None:
    inside, release = threading.Event(), threading.Event()

    class Slow(list[str]):
        """Terms that hold up the search that reads them."""

        def __iter__(self) -> Iterator[str]:
            inside.set()
            release.wait(10)
            return super().__iter__()

    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
    reader = open_reader(folder)
    with ThreadPoolExecutor(2) as pool:
        search = pool.submit(reader.search_lexical, Slow(["both1"]), 100)
        assert inside.wait(10)
        closing = pool.submit(reader.close)
        wait([closing], timeout=0.1)
        release.set()
        assert len(search.result()[0]) == 10
        closing.result()
    with pytest.raises(IndexStoreError, match="closed"):
        reader.search_lexical(["both1"], 100)


def test_readers_open_while_a_writer_compacts(folder: Path) -> None:
    """Whatever the moment, a reader opens one generation, and the generation is whole."""
    stop = threading.Event()

    def write() -> None:
        with open_writer(folder, MANIFEST) as writer:
            for turn in range(25):
                put(writer, [item(f"{i}.md", [f"turn{turn} a\n", f"turn{turn} b\n"]) for i in range(6)])
                writer.commit()
                writer.compact()
        stop.set()

    open_writer(folder, MANIFEST).close()
    thread = threading.Thread(target=write)
    thread.start()
    turns = set()
    while not stop.is_set():
        with open_reader(folder) as reader:
            if not reader.documents():
                continue
            turn = reader.document("0.md").text.split()[0]
            turns.add(turn)
            assert_holds(reader, {f"{i}.md": item(f"{i}.md", [f"{turn} a\n", f"{turn} b\n"]) for i in range(6)})
    thread.join()
    assert len(turns) > 1


def test_readers_open_while_a_writer_rebuilds(folder: Path) -> None:
    """Text of the old index never meets vectors of the new one."""
    turns = [[item(f"{i}.md", [f"turn{turn} a\n", f"turn{turn} b\n"]) for i in range(6)] for turn in range(25)]
    stop = threading.Event()

    def write() -> None:
        for items in turns:
            with open_writer(folder, MANIFEST, rebuild=True) as writer:
                put(writer, items)
                writer.commit()
        stop.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not stop.is_set():
        try:
            reader = open_reader(folder)
        except IndexMissingError:
            continue
        with reader:
            if reader.documents():
                turn = int(reader.document("0.md").text.split()[0].removeprefix("turn"))
                assert_holds(reader, {each.path: each for each in turns[turn]})
    thread.join()


def test_a_rebuild_takes_no_name_that_the_old_index_had(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
        writer.compact()
    database = connect(folder)
    database.execute("BEGIN")
    manifest = state.read_manifest(database)  # as a reader does, who is overtaken before it opens the segments
    with open_writer(folder, MANIFEST, rebuild=True) as writer:
        put(writer, ITEMS.values())
        writer.commit()
    with pytest.raises(FileNotFoundError):
        state.open_segments(database, folder, manifest)
    database.close()


def test_a_server_notices_a_new_generation(folder: Path) -> None:
    with open_writer(folder, MANIFEST) as writer:
        writer.commit()
        with open_reader(folder) as reader:
            assert not reader.is_stale()
            put(writer, ITEMS.values())
            assert not reader.is_stale()
            writer.commit()
            assert reader.is_stale()


@contextmanager
def frozen(folder: Path) -> Iterator[None]:
    """The folder on read-only media."""
    if subprocess.run(["mount", "--bind", folder, folder], capture_output=True).returncode:
        pytest.skip("may not mount")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("with_shm", [True, False])
def test_a_frozen_copy_is_read_with_its_log_or_not_at_all(folder: Path, tmp_path: Path, with_shm: bool) -> None:
    with open_writer(folder, MANIFEST) as writer:
        put(writer, ITEMS.values())
        writer.commit()
        copy = shutil.copytree(folder, tmp_path / "copy")
    if not with_shm:
        (copy / "meta.db-shm").unlink()
    with frozen(copy):
        if with_shm:
            with open_reader(copy) as reader:
                assert_holds(reader, ITEMS)
        else:
            with pytest.raises(IndexStoreError, match=r"meta.db-wal, which cannot be read there.*ragsearch status"):
                open_reader(copy)
    open_reader(copy).close()  # where it can be written to, once is enough
    with frozen(copy), open_reader(copy) as reader:
        assert_holds(reader, ITEMS)


@pytest.mark.slow
def test_an_index_on_read_only_media(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path], capture_output=True).returncode:
        pytest.skip("may not mount a tmpfs")
    try:
        with open_writer(tmp_path / "index", MANIFEST) as writer:
            put(writer, ITEMS.values())
            writer.commit()
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with open_reader(tmp_path / "index") as reader:
            assert_holds(reader, ITEMS)
            assert not reader.is_stale()
        with pytest.raises(IndexStoreError, match="Read-only"):
            open_writer(tmp_path / "index", MANIFEST)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
