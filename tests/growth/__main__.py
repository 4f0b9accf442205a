"""`python -m tests.growth`: every pattern and every reader with every character and pair of characters, for an hour."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from itertools import permutations

from tests.growth.measure import ALPHABET, growth
from tests.growth.patterns import failures, units, uses
from tests.growth.test_readers import PARSED, QUICK, parsed, patiently

ALL_UNITS = [*ALPHABET, *map("".join, permutations(ALPHABET, 2))]


def patterns() -> Iterator[tuple[str, int, list[str]]]:
    """Yield the name of each use of a pattern, the number of units tried and what grew too fast."""
    for use in uses():
        every = units(use.pattern, ALPHABET)
        yield f"{use.where} {use.function}", len(every), failures(use, every)


def readers() -> Iterator[tuple[str, int, list[str]]]:
    """Yield the same of each reader of text."""
    for name, call in QUICK.items():
        yield name, len(ALL_UNITS), grown(call, ALL_UNITS)


def formats() -> Iterator[tuple[str, int, list[str]]]:
    """Yield the same of each file format, with units on one line and on lines of their own."""
    every = [unit + end for unit in ALL_UNITS for end in ("", "\n")]
    for format_ in PARSED:
        yield format_.name, len(every), grown(parsed(format_), every)


def grown(call: Callable[[str], object], repeated: list[str]) -> list[str]:
    """Return what grows too fast."""
    found = []
    for unit in repeated:
        if problem := growth(patiently(call), lambda size: unit * (size // len(unit)) + "x"):  # noqa: B023
            found.append(f"{unit!r}: {problem}")
    return found


PARTS = {"patterns": patterns, "readers": readers, "formats": formats}


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for time that grows faster than the input.")
    parser.add_argument("--part", choices=PARTS, action="append")
    failed = False
    for part in parser.parse_args().part or PARTS:
        for name, tried, found in PARTS[part]():
            print(f"{part} {name}: {tried:,} repeated, {len(found)} grow", *found[:10], sep="\n  ", flush=True)
            failed = failed or bool(found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
