"""The short run; `python -m tests.faults` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from tests.faults.run import Amount, run_faults
from tests.faults.table import as_markdown
from tests.support.project import model_cache, project

__all__ = ["model_cache", "project"]  # fixtures
GROWTH_MB = 20  # what is kept until it is full, and the allocator's loose ends


@pytest.mark.slow
def test_every_fault_gets_its_status_and_the_server_lives_on(project: Path, tmp_path: Path) -> None:
    amount = Amount(times=10, malformed=500, clients=60, kills=1, ingests=1)
    (tmp_path / "run").mkdir()
    report = run_faults(tmp_path / "run", project / "docs", amount)
    assert report.wrong == [], as_markdown(report.wrong)
    assert sum(row.got.total() for row in report.rows) > 1_500
    sizes = list(report.memory_mb.values())
    assert max(sizes) - sizes[0] < GROWTH_MB, report.memory_mb
    assert report.open_files[1] <= report.open_files[0] + 2
