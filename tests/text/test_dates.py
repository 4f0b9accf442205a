"""Days as users write them."""

from datetime import date

import pytest

from rag_search.errors import InputError
from rag_search.text.dates import day_in_name, parse_since

TODAY = date(2024, 3, 15)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-01-31", "2024-01-31"),
        ("2024/1/3", "2024-01-03"),
        ("2024年1月3日", "2024-01-03"),
        ("2024-02", "2024-02-01"),
        ("2023", "2023-01-01"),
        ("7d", "2024-03-08"),
        ("2 weeks ago", "2024-03-01"),
        ("1y", "2023-03-16"),
        ("yesterday", "2024-03-14"),
        ("今天", "2024-03-15"),
    ],
)
def test_days(text: str, day: str) -> None:
    assert parse_since(text, today=TODAY) == day


@pytest.mark.parametrize("text", ["", "soon", "2024-13-01", "99999y", "-3d", "20240101T"])
def test_what_is_not_a_day_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="is not a date"):
        parse_since(text, today=TODAY)


@pytest.mark.parametrize(
    ("path", "day"),
    [
        ("a/2024-01-31-notes.md", "2024-01-31"),
        ("20240131.md", "2024-01-31"),
        ("2024_01_31.md", "2024-01-31"),
        ("2024-01-31/notes.md", ""),
        ("120240131.md", ""),
        ("2024-02-31.md", ""),
    ],
)
def test_the_day_in_a_name(path: str, day: str) -> None:
    assert day_in_name(path) == day
