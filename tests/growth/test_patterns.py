"""No regular expression of the package takes more than linear time, whatever is repeated."""

from __future__ import annotations

import random

import pytest

from tests.growth.measure import ALPHABET, growth
from tests.growth.patterns import Use, prefixes, uses

# what runs on a question is bounded and in test_readers
USES = [use for use in uses() if not use.where.startswith("rag_search.text.evidence")]


def failures(use: Use, units: list[str]) -> list[str]:
    """Return what grows too fast: each unit repeated, after each text that leads into the pattern."""
    found = []
    for before in prefixes(use.pattern):
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


@pytest.mark.slow
@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.where.removeprefix('rag_search.')}-{use.function}")
def test_repeated_characters(use: Use) -> None:
    """A sample of characters, after each text that leads into the pattern; another one for each pattern."""
    sample = random.Random(use.where).sample(ALPHABET, 4)
    assert not failures(use, sample)
