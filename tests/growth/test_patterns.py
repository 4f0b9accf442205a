"""No regular expression of the package takes more than linear time, whatever is repeated."""

from __future__ import annotations

import itertools
import random

import pytest

from tests.growth.measure import ALPHABET, growth
from tests.growth.patterns import Use, prefixes, uses

USES = uses()
PAIRS = ["".join(pair) for pair in itertools.permutations(ALPHABET, 2)]


def failures(use: Use, units: list[str], *, lead_in: bool = True) -> list[str]:
    """Return what grows too fast: each unit repeated, after each text that leads into the pattern."""
    found = []
    for before in prefixes(use.pattern) if lead_in else [""]:
        for unit in units:
            for after in ("", "\0"):
                problem = growth(use.run, lambda size: before + unit * (size // len(unit)) + after)  # noqa: B023
                if problem:
                    found.append(f"{use.where} {use.function}: {before!r}, then {unit!r}, {after!r}: {problem}")
    return found


def test_there_are_patterns() -> None:
    """The collection finds those of modules, of tuples and those within calls."""
    assert len(USES) > 120
    assert {"rag_search.text.sanitize._ESCAPES", "query"} <= {use.where for use in USES}


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where.removeprefix('rag_search.')}-{use.function}")
def test_repeated_characters(use: Use) -> None:
    """A sample of characters; the slow test has all of them. The seed is in the message."""
    seed = random.randrange(2**32)
    assert not failures(use, random.Random(seed).sample(ALPHABET, 4)), f"seed {seed}"


@pytest.mark.slow
@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where.removeprefix('rag_search.')}-{use.function}")
def test_all_characters_and_pairs(use: Use) -> None:
    """Each character after each text that leads into the pattern, and a sample of pairs."""
    seed = random.randrange(2**32)
    assert not failures(use, list(ALPHABET))
    assert not failures(use, random.Random(seed).sample(PAIRS, 200), lead_in=False), f"seed {seed}"
