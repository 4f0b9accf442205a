"""All faults against servers over one small index, in an order that ends with the index being verified."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults import lives
from tests.faults.cases import MIB, client_faults, flood, malformed_requests
from tests.faults.table import Row
from tests.support.served import Served, serving

KEY = "open sesame"


@dataclass(frozen=True, slots=True)
class Amount:
    """How much: requests of each fault of clients, malformed requests, clients of the flood, kills, ingests."""

    times: int
    malformed: int
    clients: int
    kills: int
    ingests: int


@dataclass
class Report:
    """rows: every fault. memory_mb: of the server, after each part. open_files: before and after."""

    rows: list[Row] = field(default_factory=list)
    memory_mb: dict[str, float] = field(default_factory=dict)
    open_files: list[int] = field(default_factory=list)

    @property
    def wrong(self) -> list[Row]:
        return [row for row in self.rows if row.wrong]


def run_faults(folder: Path, documents: Path, amount: Amount, *, seed: int = 1) -> Report:
    """folder: empty, for copies of the documents and for indexes. Raises AssertionError when a server or an index does
    not survive."""
    copies = shutil.copytree(documents, folder / "docs")
    index, log = folder / "index", folder / "log.jsonl"
    report = Report()
    lives.command(index, "ingest", str(copies))
    before = content(index)
    settings = {"RAGSEARCH_SERVER__API_KEY": KEY, "RAGSEARCH_SERVER__BODY_TIMEOUT_S": "2"}
    with environment(settings), serving(index, log=log) as server:
        _faults_of_clients(server, report, amount, seed)
        assert server.process.poll() is None
    assert content(index) == before, "serving changed the index"
    lives.command(index, "verify")
    report.rows.append(lives.killed_under_load(index, log, kills=amount.kills))
    report.rows.append(lives.stopped_under_load(index, log))
    report.rows += lives.fed_under_load(index, copies, log, times=amount.ingests)
    lives.command(index, "verify")
    report.rows += lives.index_comes_and_goes(folder / "other", copies, log)
    return report


def _faults_of_clients(server: Served, report: Report, amount: Amount, seed: int) -> None:
    flood(server.address, key=KEY, clients=4)  # what is kept from now on is kept
    report.open_files.append(server.open_files())
    report.memory_mb["before"] = server.memory_mb()
    report.rows += client_faults(server.address, key=KEY, times=amount.times, body_limit=8 * MIB)
    report.memory_mb["after faults of clients"] = server.memory_mb()
    report.rows.append(flood(server.address, key=KEY, clients=amount.clients))
    report.memory_mb["after the flood"] = server.memory_mb()
    for part in range(4):
        made = malformed_requests(server.address, key=KEY, count=amount.malformed // 4, seed=seed + part)
        report.rows = _added(report.rows, made)
        report.memory_mb[f"after {(part + 1) * (amount.malformed // 4):,} malformed requests"] = server.memory_mb()
    report.open_files.append(server.open_files())


def _added(rows: list[Row], more: list[Row]) -> list[Row]:
    """The rows with the counts of `more` added to those of the same name."""
    known = {row.fault: row for row in rows}
    for row in more:
        if row.fault in known:
            known[row.fault].got.update(row.got)
        else:
            known[row.fault] = row
    return list(known.values())


def content(index: Path) -> dict[str, str]:
    """Hash of each file of an index, without SQLite's own bookkeeping of readers."""
    files = (file for file in sorted(index.iterdir()) if not file.name.endswith(("-shm", "-wal", ".lock")))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
