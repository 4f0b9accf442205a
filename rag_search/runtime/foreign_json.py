"""Read JSON of other programs: any depth, any type, any number."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, TypeGuard, TypeVar

_Record = TypeVar("_Record")
_KINDS = {"str": str, "int": int}
MAX_FLOAT32 = 3.4028234e38


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError, also for text that is nested too deeply or is not valid Unicode."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_record(kind: type[_Record], value: Any) -> _Record:
    """Return the dataclass, with fields of type str and int, that a JSON object holds; other members are left out.

    Raises KeyError for a missing field, ValueError for a value of another type.
    """
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - as of JSON that is not valid
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    for field in fields:
        if type(value[field.name]) is not _KINDS[str(field.type)]:
            raise ValueError(f"{field.name} is not of type {field.type}")
    return kind(**{field.name: value[field.name] for field in fields})


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
