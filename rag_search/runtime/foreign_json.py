"""Read JSON of other programs: any depth, any type, any number."""

from __future__ import annotations

import json
import math
from typing import Any, TypeGuard

MAX_FLOAT32 = 3.4028234e38


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError, also for text that is nested too deeply or is not valid Unicode."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def is_whole(value: Any) -> TypeGuard[int]:
    """Return whether a value is an integer; true and false are not."""
    return type(value) is int


def is_number(value: Any) -> bool:
    """Return whether a value is a number of float32, NaN and infinity included; true and false are not."""
    return is_finite(value) or (type(value) is float and not math.isfinite(value))


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that float32 can represent; true, false, NaN and infinity are not."""
    if type(value) is int:
        return -MAX_FLOAT32 <= value <= MAX_FLOAT32
    return type(value) is float and math.isfinite(value) and abs(value) <= MAX_FLOAT32
