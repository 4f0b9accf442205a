"""Front matter to JSON values, title and date. What is wrong with it is never fatal: then there is no metadata."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import Any

import yaml

from rag_search.documents.formats.markdown.blocks import iter_blocks
from rag_search.documents.formats.markdown.front_matter import FrontMatter
from rag_search.documents.formats.markdown.inline import plain_inline

MAX_YAML_CHARS = 64 * 1024
TITLE_WITHIN_CHARS = 64 * 1024  # a heading further down is not what the document is called
DATE_KEYS = ("updated", "date")

_DATE = re.compile(r"\s*(\d{4})(?:[-/.]|年)(\d{1,2})(?:[-/.]|月)(\d{1,2})(?!\d)")
_MAX_JSON_INT = 2**63
_MAX_NUMBER_CHARS = 15  # digits that every double keeps


class _Loader(yaml.SafeLoader):
    """SafeLoader without aliases (a few lines of them expand to gigabytes), and with the plain values of YAML 1.2.

    What would not be written again as it stands in the file stays text: dates, `1.10`, `007`, `12:30`, `NO`, `yes`.
    A person who filters by a value types what stands there.
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


def read_metadata(front: FrontMatter) -> dict[str, Any]:
    """The mapping in the front matter, in JSON values only; {} when it is not one, too long or malformed."""
    if not front.yaml.strip() or len(front.yaml) > MAX_YAML_CHARS:
        return {}
    try:
        loaded = yaml.load(front.yaml, Loader=_Loader)
        return {str(key): _json_value(value) for key, value in loaded.items()} if isinstance(loaded, dict) else {}
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}


def title_of(metadata: Mapping[str, Any], text: str, *, path: str) -> str:
    """Front matter `title`, else the first heading, else the name of the file; on one line, never blank."""
    named = metadata.get("title")
    if isinstance(named, str | int | float) and not isinstance(named, bool) and str(named).strip():
        return " ".join(str(named).split())
    return _first_heading(text) or PurePosixPath(path).stem


def updated_on(metadata: Mapping[str, Any], *, mtime_ns: int) -> str:
    """ISO date from the first of DATE_KEYS that holds one, else the day of the last change (UTC), else ""."""
    for key in DATE_KEYS:
        if (found := _DATE.match(str(metadata.get(key, "")))) and (day := _iso(*map(int, found.groups()))):
            return day
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return ""


def _first_heading(body: str) -> str:
    headings = (block for block in iter_blocks(body[:TITLE_WITHIN_CHARS]) if block.kind == "heading")
    return next((name for heading in headings if (name := plain_inline(heading.content))), "")


def _iso(year: int, month: int, day: int) -> str:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return ""


def _json_value(value: object) -> Any:
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
            return {str(key): _json_value(item) for key, item in value.items()}
        case list() | tuple() | set():
            return [_json_value(item) for item in value]
        case _:
            return str(value)
