"""Read fields that a text has about itself, as JSON values. Malformed fields are never fatal."""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

MAX_YAML_CHARS = 64 * 1024
_MAX_JSON_INT = 2**63
_MAX_NUMBER_CHARS = 15  # digits that every double keeps


class _Loader(yaml.SafeLoader):
    """A SafeLoader without aliases (a few lines of them expand to gigabytes) and with the plain values of YAML 1.2.

    A value whose number or date would be written in another way stays text: dates, `1.10`, `007`, `12:30`, `NO`,
    `yes`. A person who filters by a value types what the file contains.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 (the name and the type are PyYAML's)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not read")
        return super().compose_node(parent, index)


def _number(loader: _Loader, node: yaml.ScalarNode) -> int | float | str:
    text = str(loader.construct_scalar(node))
    number = float(text) if "." in text else int(text)
    return number if repr(number) == text != "-0.0" else text  # SQLite drops that sign


_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:[tT]rue|TRUE|[fF]alse|FALSE)\Z"), list("tTfF"))
_Loader.add_implicit_resolver(
    "!number", re.compile(rf"(?=.{{1,{_MAX_NUMBER_CHARS}}}\Z)-?[0-9]+(?:\.[0-9]+)?\Z"), list("-0123456789")
)
_Loader.add_constructor("!number", _number)


def yaml_fields(text: str) -> dict[str, Any]:
    """Return the mapping that `text` holds, in JSON values; {} if it is not a mapping, too long or malformed."""
    if not text.strip() or len(text) > MAX_YAML_CHARS:
        return {}
    try:
        loaded = yaml.load(text, Loader=_Loader)
        return {str(key): json_value(value) for key, value in loaded.items()} if isinstance(loaded, dict) else {}
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def json_value(value: object) -> Any:
    """Return `value` in JSON types; what has none becomes text."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")  # YAML can spell half a surrogate pair
        case bool() | None:
            return value
        case int():
            return value if -_MAX_JSON_INT <= value < _MAX_JSON_INT else str(value)
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            return {str(key): json_value(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [json_value(item) for item in value]
        case _:
            return str(value)
