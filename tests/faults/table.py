"""What was done to a server, what it had to answer, and what it did answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

NAMES = {0: "hung up"}


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of fault. right: statuses of which each answer had to be one; 0: the connection was closed."""

    fault: str
    right: frozenset[int]
    got: Counter[int]

    @property
    def wrong(self) -> int:
        """Answers with another status."""
        return sum(times for status, times in self.got.items() if status not in self.right)


def row(fault: str, right: Iterable[int], got: Iterable[int]) -> Row:
    return Row(fault, frozenset(right), Counter(got))


def as_markdown(rows: Iterable[Row]) -> str:
    lines = ["| fault | requests | expected | got |", "|---|---:|---|---|"]
    for each in rows:
        expected = " or ".join(_name(status) for status in sorted(each.right))
        got = ", ".join(f"{_name(status)}: {times:,}" for status, times in sorted(each.got.items()))
        lines.append(f"| {each.fault} | {each.got.total():,} | {expected} | {got} |")
    return "\n".join(lines) + "\n"


def _name(status: int) -> str:
    return NAMES.get(status, str(status))
