"""The short crash test; `make crash` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.rounds import crash_rounds


@pytest.mark.slow
def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    tally = crash_rounds(tmp_path / "index", kills=20, seed=20)
    assert sum(tally.kills.values()) == 20
    assert tally.acknowledged > 20
