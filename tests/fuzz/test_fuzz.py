"""A short run of every target; `python -m tests.fuzz` takes other seeds."""

from __future__ import annotations

import pytest

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_our_own_errors(target: str) -> None:
    """No other exception and no input that takes long; a finding names its seed and number."""
    if target == "messages":
        pytest.importorskip("mcp")
    assert fuzz(target, 60, seed=1) == []
