"""Counts, sizes and durations as people write them."""

import pytest

from rag_search.text.amounts import count, human_bytes, human_seconds


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 documents"), (1, "1 document"), (2, "2 documents"), (1234, "1,234 documents")]
)
def test_counts(number: int, text: str) -> None:
    assert count(number, "document") == text


def test_irregular_plurals() -> None:
    assert (count(1, "index", "indexes"), count(2, "index", "indexes")) == ("1 index", "2 indexes")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_940, "99.9 kB"), (999_600, "1.0 MB"), (21_900_000, "21.9 MB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (8.24, "8.2 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text
