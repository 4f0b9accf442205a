"""A reader sees one committed state: whole documents, one version of each, until it is closed."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.index.world import Item, assert_holds, put, random_unit
from tests.stores.harness import StoreUnderTest, item

BIG = item("big.md", [f"old part {number}\n" for number in range(200)])
NEW = item("big.md", [f"new part {number}\n" for number in range(150)])


def fill(store: StoreUnderTest, *items: Item) -> None:
    with store.writer() as writer:
        put(writer, items)
        writer.commit()


def test_reader_keeps_what_it_opened(store: StoreUnderTest) -> None:
    fill(store, BIG)
    with store.reader() as before:
        assert not before.is_stale()
        fill(store, NEW, item("other.md", ["other\n"]))
        assert before.is_stale()
        assert_holds(before, {"big.md": BIG})
        assert len(before.search_lexical(["new"], 500)[0]) == 0
        with store.reader() as after:
            assert after.generation > before.generation
            assert {chunk.text.split()[0] for chunk in after.document_chunks("big.md")} == {"new"}
            assert len(after.search_lexical(["old"], 500)[0]) == 0
            assert not after.is_stale()


def test_commit_without_changes_is_no_generation(store: StoreUnderTest) -> None:
    fill(store, BIG)
    with store.reader() as reader:
        with store.writer() as writer:
            writer.remove(["not/there.md"])
            writer.commit()
        assert not reader.is_stale()


def test_many_threads_read_one_generation(store: StoreUnderTest) -> None:
    """Threads get the same answers as one, and may close the reader between them."""
    fill(store, *(item(f"{number}.md", [f"word{number} common\n"]) for number in range(30)))
    queries = random_unit(16, seed=4)
    with store.reader() as reader:
        wanted = [reader.search_dense(query[None], 5)[0].tolist() for query in queries]

        def ask(number: int) -> object:
            found, _ = reader.search_lexical([f"word{number}", "common"], 5)
            return reader.search_dense(queries[number][None], 5)[0].tolist(), len(reader.chunks(found.tolist()))

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(ask, [*range(16)] * 4))
        assert answers == [(ids, 5) for ids in wanted] * 4


def test_no_reader_sees_half_a_document(store: StoreUnderTest) -> None:
    """While a writer replaces documents of 200 chunks, every reader sees one whole version of each."""
    fill(store, BIG, item("second.md", [f"old second {number}\n" for number in range(200)]))
    versions = {kind: len(each.chunks) for kind, each in (("old", BIG), ("new", NEW))}
    stop = threading.Event()
    seen: list[str] = []

    def read() -> None:
        while not stop.is_set():
            with store.reader() as reader:
                chunks = reader.document_chunks("big.md")
                (kind,) = {chunk.text.split()[0] for chunk in chunks}
                assert len(chunks) == versions[kind]
                assert len(reader.search_lexical(["part"], 500)[0]) == versions[kind]
                ids, _ = reader.search_dense(random_unit(1), 500)
                assert len(np.unique(ids[ids >= 0])) == reader.counts.chunks == 200 + versions[kind]
                seen.append(kind)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        with store.writer() as writer:
            for number in range(8):
                put(writer, [NEW if number % 2 == 0 else BIG])
                writer.commit()
        while len(seen) < 5 and not any(each.done() for each in readers):
            stop.wait(0.01)
        stop.set()
        for each in readers:
            each.result()
    assert len(seen) >= 5
