"""Convert search options and results to JSON values and back, with stored paths, every field and full precision."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from rag_search.errors import ServerError
from rag_search.records import Chunk, EngineNames, Hit, SearchOptions, SearchResult, Sibling, StageScores

_NESTED = {"Chunk": Chunk, "EngineNames": EngineNames, "Hit": Hit, "Sibling": Sibling, "StageScores": StageScores}
_PLAIN = {"str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "None": (type(None),)}


def pack_options(options: SearchOptions) -> dict[str, Any]:
    """Convert SearchOptions to JSON values."""
    return asdict(options)


def pack_result(result: SearchResult) -> dict[str, Any]:
    """Convert a SearchResult to JSON values."""
    return asdict(result)


def unpack_result(packed: Any) -> SearchResult:
    """Restore what `pack_result` returned. Raises ServerError for anything else, a value of another type included."""
    try:
        result: SearchResult = _record(SearchResult, packed)
    except (KeyError, TypeError) as error:
        raise ServerError(f"the reply of the server is not a search result: {error}.") from error
    return result


def _record(kind: type[Any], packed: Any) -> Any:
    """Restore a dataclass from a JSON object with all of its fields and no others."""
    if not isinstance(packed, dict):
        raise TypeError(f"{kind.__name__} is not a JSON object")
    types = {field.name: str(field.type) for field in fields(kind)}
    return kind(**{name: _value(types[name], value, name) for name, value in packed.items()})


def _value(expected: str, value: Any, name: str) -> Any:
    """Restore a value of the type that a dataclass names for it, such as "tuple[str, ...]"."""
    if expected.startswith("tuple["):
        member = expected.removeprefix("tuple[").removesuffix(", ...]")
        if isinstance(value, list):
            return tuple(_value(member, part, name) for part in value)
    elif expected in _NESTED:
        return _record(_NESTED[expected], value)
    elif expected == "Mapping[str, float]":
        if isinstance(value, dict):
            return {key: _value("float", part, name) for key, part in value.items()}
    elif any(type(value) in _PLAIN[kind] for kind in expected.split(" | ")):
        return value
    raise TypeError(f"{name} is not of type {expected}")
