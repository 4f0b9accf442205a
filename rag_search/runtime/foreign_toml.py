"""Read TOML of other programs and people: any depth, any number, in linear time."""

from __future__ import annotations

import tomllib
from typing import Any

MAX_DOTS = 1000  # in a line: tomllib takes quadratic time for a key of many parts, 11 s for 64 kB of them


def parse_toml(text: str) -> dict[str, Any]:
    """Parse TOML. Raises ValueError, also for text that is nested too deeply or has a number without an end."""
    if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
        raise ValueError(f"a line has more than {MAX_DOTS:,} dots")
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
