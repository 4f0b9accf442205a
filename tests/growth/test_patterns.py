"""No regular expression of the package takes more than linear time, whatever is repeated."""

from __future__ import annotations

import random
import re

import pytest

from tests.growth.measure import ALPHABET, SEED
from tests.growth.patterns import Use, failures, units, uses

USES = uses()
SAMPLE = 12  # of the units of a pattern; `python -m tests.growth` takes all


def test_there_are_patterns() -> None:
    """The collection finds those of modules, of tuples and those within calls."""
    assert len(USES) > 120
    assert {"rag_search.text.sanitize._ESCAPES", "query"} <= {use.where for use in USES}


def test_characters_that_differ_for_a_pattern() -> None:
    """One of each kind, alone and in pairs; what the pattern names is among them."""
    assert units(re.compile("a[0-9]+"), "bcd12") == ["b", "1", "a", "b1", "ba", "1b", "1a", "ab", "a1"]
    assert units(re.compile(r"[^\W_](?=x)", re.IGNORECASE), "aX_ ") == [
        "a", "X", "_", "aX", "a_", "Xa", "X_", "_a", "_X"
    ]  # fmt: skip


def test_growth_is_seen() -> None:
    """The control: a pattern that goes back takes quadratic time on a character, another one on a pair only."""
    assert failures(Use(re.compile("a+b"), "search", "control"), ["a"])
    pair = Use(re.compile("(?:ab)+c"), "search", "control")
    assert not failures(pair, ["a", "b"])
    assert failures(pair, ["ab"])


@pytest.mark.slow
@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where.removeprefix('rag_search.')}-{use.function}")
def test_repeated_characters_and_pairs(use: Use) -> None:
    """A sample of those that may act differently, after each text that leads into the pattern."""
    every = units(use.pattern, ALPHABET)
    sample = random.Random(SEED).sample(every, min(len(every), SAMPLE))
    assert not failures(use, sample), f"seed {SEED}"
