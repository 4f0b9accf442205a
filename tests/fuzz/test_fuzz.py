"""A short run of every target, with a new seed each time."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.run import fuzz
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_our_own_errors(target: str) -> None:
    """No other exception and no input that takes long; a finding names its seed and number."""
    assert fuzz(target, 60, seed=random.randrange(2**32)) == []
