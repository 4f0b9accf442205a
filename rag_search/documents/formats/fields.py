"""Read fields that a text has about itself, as JSON values. Malformed fields cost only themselves."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import yaml

from rag_search.runtime.foreign_toml import parse_toml
from rag_search.text.lines import LINE_END

MAX_YAML_CHARS = 64 * 1024
_MAX_JSON_INT = 2**63
_MAX_NUMBER_CHARS = 15  # digits that every double keeps
_TEXT_KEYS = frozenset({"title", "description", "subtitle", "summary", "name", "sidebar_label", "linkTitle"})
_FIELD = re.compile(
    r"^([\w\"'][^\r\n:]{0,100}):(?:[ \t]+([^\r\n]*))?(?:(?:\r\n?|\n)(?=[ \t\r\n#-])[^\r\n]*)*", re.MULTILINE
)


class Fields(NamedTuple):
    """Fields of a text, JSON values only, and what is wrong with them, "" if nothing is."""

    values: Mapping[str, Any]
    problem: str = ""


class _Loader(yaml.SafeLoader):
    """A SafeLoader without aliases (a few lines of them expand to gigabytes) and with the plain values of YAML 1.2.

    A value whose number or date would be written in another way stays text: dates, `1.10`, `007`, `12:30`, `NO`,
    `yes`. A person who filters by a value types what the file contains.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012 (the name and the type are PyYAML's)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not read", mark)
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


def yaml_fields(text: str, *, first_line: int = 1) -> Fields:
    """Read the mapping that `text` holds. If it is malformed, read each field on its own.

    first_line: number of the first line of `text` in its file, for the problem.
    """
    if not text.strip():
        return Fields({})
    if len(text) > MAX_YAML_CHARS:
        return Fields({}, f"the front matter has more than {MAX_YAML_CHARS:,} characters and is not read")
    try:
        return Fields(_mapping(yaml.load(text, Loader=_Loader)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = first_line + (mark.line if mark else 0)
        reason = " ".join(str(getattr(error, "problem", None) or error).split())[:200]
        return Fields(_field_by_field(text), f"front matter, line {line}: {reason}")


def _field_by_field(text: str) -> dict[str, Any]:
    """Read each top-level field; of one that is malformed keep a text on its line."""
    fields: dict[str, Any] = {}
    for match in _FIELD.finditer(text):
        try:
            fields.update(_mapping(yaml.load(match[0], Loader=_Loader)))
        except (yaml.YAMLError, ValueError, RecursionError):
            key, value = match[1].strip("\"'"), (match[2] or "").strip()
            if value and (key in _TEXT_KEYS or value[0] not in "[{!&*|>"):
                fields[key] = str(json_value(value.strip("\"'")))
    return fields


def toml_fields(text: str) -> Fields:
    """Read TOML."""
    try:
        return Fields(_mapping(parse_toml(LINE_END.sub("\n", text[:MAX_YAML_CHARS]))))
    except ValueError as error:
        return Fields({}, f"front matter: {error}")


def json_fields(text: str) -> Fields:
    """Read a JSON object."""
    try:
        return Fields(_mapping(json.loads(text)))
    except (ValueError, RecursionError) as error:
        return Fields({}, f"front matter: {error}")


def property_fields(text: str) -> Fields:
    """Read `key:: value` lines; `tags` and `alias` are lists with commas."""
    fields: dict[str, Any] = {}
    for line in LINE_END.split(text):
        key, found, value = line.partition("::")
        if not found:
            continue
        names = [name.strip().removeprefix("[[").removesuffix("]]") for name in value.split(",")]
        is_list = key.lower() in ("tags", "alias", "aliases")
        fields[key.strip()] = [name for name in names if name] if is_list else value.strip()
    return Fields(_mapping(fields))


def _mapping(loaded: object) -> dict[str, Any]:
    return {str(key): json_value(value) for key, value in loaded.items()} if isinstance(loaded, dict) else {}


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
