"""Requests of a dead writer that arrive late, and vector stores that lag or lie: nobody sees what was not committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_search.errors import IndexLockedError, RagSearchError, StoreUnavailableError
from tests.index.world import MANIFEST, assert_holds, put, random_unit
from tests.stores.harness import StoreUnderTest, item
from tests.support.databases import LiteServer, PostgresServer
from tests.support.holding_proxy import HoldingProxy

A = item("a.md", ["redis timeout\n"])
LATE = item("late.md", ["written by a dead writer\n"])
NEXT = item("next.md", ["written by the next one\n"])


def of(*items: Any) -> dict[str, Any]:
    return {each.path: each for each in items}


def test_late_commit_of_a_lost_writer(postgres: PostgresServer) -> None:
    """Its session was ended when the lease was taken over, so the commit that arrives now is nobody's."""
    proxy = HoldingProxy(postgres.port)
    direct = StoreUnderTest(Path("unused"), postgres.url, "late-commit", answer_s=3.0)
    through = StoreUnderTest(
        Path("unused"), postgres.url.replace(str(postgres.port), str(proxy.port)), "late-commit", answer_s=3.0
    )
    with direct.writer() as writer:
        put(writer, [A])
        writer.commit()
    lost = through.writer(lease_s=0.5)
    put(lost, [LATE])
    list(lost.files())  # the rows are in the open transaction
    proxy.hold()
    with pytest.raises((StoreUnavailableError, IndexLockedError)):
        lost.commit()  # its requests do not arrive
    with direct.writer() as writer:
        put(writer, [NEXT])
        writer.commit()
        proxy.release()
        time.sleep(0.5)
        writer.touch(NEXT.path, NEXT.state)
        writer.commit()
    proxy.close()
    lost.close()
    with direct.reader() as reader:
        assert_holds(reader, of(A, NEXT))
    assert direct.verify() == []


def test_late_rows_of_a_dead_writer(postgres: PostgresServer, lite: LiteServer) -> None:
    """Milvus carries out the request of a dead writer: its rows have ids that no commit knows."""
    proxy = HoldingProxy(lite.port)
    place = f"milvus://127.0.0.1:{{}}/late_{time.monotonic_ns()}"
    direct = StoreUnderTest(Path("unused"), postgres.url, "late-rows", vectors=place.format(lite.port), answer_s=30.0)
    through = StoreUnderTest(Path("unused"), postgres.url, "late-rows", vectors=place.format(proxy.port), answer_s=5.0)
    with direct.writer() as writer:
        put(writer, [A])
        writer.commit()
    dead = through.writer()
    put(dead, [LATE])
    proxy.hold()
    thread = threading.Thread(target=lambda: _fail(dead.commit))
    thread.start()
    while not proxy.held_bytes:
        time.sleep(0.01)
    thread.join()  # it gave up, and is as dead as its rows are late
    dead.close()
    with direct.writer() as writer:  # sweeps what is there, and takes ids of its own
        put(writer, [NEXT])
        writer.commit()
        proxy.release()
        time.sleep(1.0)
    with direct.reader() as reader:
        assert_holds(reader, of(A, NEXT))
        ids, _ = reader.search_dense(LATE.encoded.vectors, 10)
        assert {chunk.path for chunk in reader.chunks(ids[ids >= 0].tolist())} == {"a.md", "next.md"}
    assert direct.verify() == []
    proxy.close()


def _fail(action: Any) -> None:
    with suppress(RagSearchError):
        action()


class Lagging:
    """A vector store in memory whose searches see what was there at the last `catch_up`, deleted rows included."""

    place = "memory"

    def __init__(self) -> None:
        self.rows: dict[int, Any] = {}
        self.seen: dict[int, Any] = {}
        self.lies = False

    def catch_up(self) -> None:
        self.seen = dict(self.rows)

    def create(self, dim: int) -> None:
        pass

    def add(self, ids: Sequence[int], vectors: Any, weights: Any = ()) -> None:
        self.rows.update(zip(ids, vectors, strict=True))

    def visible(self, ids: Sequence[int]) -> int:
        return 0 if self.lies else sum(number in self.rows for number in ids)

    def delete(self, ids: Sequence[int]) -> None:
        for number in ids:
            self.rows.pop(number, None)

    def delete_range(self, first: int, last: int) -> None:
        self.delete([number for number in self.rows if first <= number <= last])

    def search(self, query: Any, top_k: int, *, consistency: str) -> Any:
        ids = sorted(self.seen, key=lambda number: -float(self.seen[number] @ query))
        return np.array(ids[:top_k], np.int64)

    def flush(self) -> None:
        pass

    def drop(self) -> None:
        self.rows.clear()

    def close(self) -> None:
        pass


@pytest.fixture
def lagging() -> Iterator[Lagging]:
    yield Lagging()


def test_a_store_that_lags(postgres: PostgresServer, lagging: Lagging) -> None:
    """Readers see committed rows only, each once and with its score; what lags is missing until it has caught up."""
    from rag_search.index.postgres import opening

    place = StoreUnderTest(Path("unused"), postgres.url, "lagging").place
    old = [item(f"{number}.md", [f"old {number}\n"]) for number in range(20)]
    new = [item(f"{number}.md", [f"new {number}\n"]) for number in range(10)]
    query = random_unit(1, seed=2)
    with opening.open_writer(place, MANIFEST, vectors=lagging) as writer:
        put(writer, old)
        writer.commit()
        lagging.catch_up()
        put(writer, new)
        writer.remove(["19.md"])
        writer.commit()
    current = {**of(*old[:19]), **of(*new)}
    with opening.open_reader(place, vectors=lagging) as reader:
        assert _found(reader, query) == {each.path: each.document.text for each in old[10:19]}
        lagging.catch_up()
        assert _found(reader, query) == {path: each.document.text for path, each in current.items()}
        assert_holds(reader, current)


def _found(reader: Any, query: Any) -> dict[str, str]:
    """Return the documents that a search finds, with their texts; each row comes once and with its own score."""
    ids, scores = reader.search_dense(query, 50)
    ids, scores = ids[0][ids[0] >= 0], scores[0][ids[0] >= 0]
    assert len(set(ids.tolist())) == len(ids)
    np.testing.assert_allclose(scores, reader.vectors(ids.tolist()) @ query[0], atol=1e-6)
    assert (np.diff(scores) <= 0).all()
    return {chunk.path: chunk.text for chunk in reader.chunks(ids.tolist())}


def test_a_store_that_loses_rows_stops_the_commit(postgres: PostgresServer, lagging: Lagging) -> None:
    from rag_search.index.postgres import opening

    place = StoreUnderTest(Path("unused"), postgres.url, "losing").place
    with opening.open_writer(place, MANIFEST, vectors=lagging) as writer:
        put(writer, [A])
        writer.commit()
        lagging.lies = True
        put(writer, [LATE])
        with pytest.raises(StoreUnavailableError, match="does not show"):
            writer.commit()
    lagging.lies = False
    assert len(lagging.rows) == 2  # the orphan goes when the next writer opens
    with opening.open_writer(place, MANIFEST, vectors=lagging):
        assert len(lagging.rows) == 1
    lagging.catch_up()
    with opening.open_reader(place, vectors=lagging) as reader:
        assert_holds(reader, of(A))


def test_removed_rows_go_two_generations_later(postgres: PostgresServer, lagging: Lagging) -> None:
    from rag_search.index.postgres import opening

    place = StoreUnderTest(Path("unused"), postgres.url, "buried").place
    sizes = []
    with opening.open_writer(place, MANIFEST, vectors=lagging) as writer:
        put(writer, [A])
        writer.commit()
        for number in range(5):
            put(writer, [item("a.md", [f"version {number}\n"])])
            writer.commit()
            sizes.append(len(lagging.rows))
    assert sizes == [2, 3, 3, 3, 3]


def test_more_results_than_the_store_gives(postgres: PostgresServer, lagging: Lagging) -> None:
    """A search for more rows than Milvus returns at once is answered in full by the database."""
    from rag_search.index.postgres import dense, opening

    place = StoreUnderTest(Path("unused"), postgres.url, "limits").place
    items = [item(f"{number}.md", [f"text {number} {part}\n" for part in range(50)]) for number in range(8)]
    with opening.open_writer(place, MANIFEST, vectors=lagging) as writer:
        put(writer, items)
        writer.commit()
    lagging.catch_up()
    with opening.open_reader(place, vectors=lagging) as reader:
        ids, _ = reader.search_dense(random_unit(1), dense.MAX_ASKED + 100)
        assert int((ids >= 0).sum()) == 400
