"""Find and read front matter: fields about a text at its top, in the forms that site generators know.

---              YAML (Jekyll, Hugo, Docusaurus, Obsidian ...); Hexo may leave out the first line
+++              TOML (Hugo, Zola)
{...}            JSON (Hugo); Hexo writes it without braces, up to a line `;;;`
% Title          Pandoc: title, author, date
title:: Title    Logseq
[//]: # (title: Title)    Writerside
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from rag_search.documents.formats.fields import Fields, json_fields, property_fields, toml_fields, yaml_fields
from rag_search.documents.formats.markdown.inline import plain_inline

MAX_CHARS = 64 * 1024
MAX_HOME_CHARS = 600  # of a home page in front matter: one edit cannot be cut

_END = r"(?>\r\n?|\n)"  # atomic: else each of many CR LF is tried as two line ends, too
_OPENING = re.compile(rf"---[ \t]*{_END}(?![ \t]*[\r\n])")
_CLOSING = re.compile(rf"(?:{_END}|(?<=[\r\n]))(?:---|\.\.\.)[ \t]*(?:{_END}|\Z)")
_FIRST_KEY = re.compile(rf"(?:[ \t]*(?:#[^\r\n]*)?{_END})*[\w\"'][^\r\n:]*:(?:[ \t\r\n]|\Z)")
_TOML = re.compile(rf"\+\+\+[ \t]*{_END}(?=(?:[ \t]*(?:#[^\r\n]*)?{_END})*(?:[\w\"'.-]+[ \t]*=|\[))")
_TOML_CLOSING = re.compile(rf"(?:{_END}|(?<=[\r\n]))\+\+\+[ \t]*(?:{_END}|\Z)")
_HEXO = re.compile(
    rf"((?:title|layout|date|permalink|categories|tags):[ \t][^\r\n]*{_END}(?:[^\r\n]+{_END}){{0,60}}?)"
    rf"---+[ \t]*(?:{_END}|\Z)"
)
_HEXO_JSON = re.compile(rf"(\"[\w-]+\":[^\r\n]*{_END}(?:[^\r\n]+{_END}){{0,60}}?);;;+[ \t]*(?:{_END}|\Z)")
_PANDOC = re.compile(rf"%[ \t][^\r\n]*(?:{_END}(?:%[ \t]*|[ \t]+)[^\r\n]*){{0,6}}(?:{_END}|\Z)")
_PROPERTIES = re.compile(rf"(?:[A-Za-z][\w./-]{{0,60}}::(?:[ \t][^\r\n]*)?(?:{_END}|\Z))+")
_WRITERSIDE = re.compile(rf"(?:\[//\]: # \([a-z-]{{1,40}}:[^\r\n]{{0,300}}\)[ \t]*(?:{_END}|\Z))+")
_WRITERSIDE_FIELD = re.compile(r"# \(([a-z-]{1,40}):[ \t]*+([^\r\n]{0,300})\)")

_NONE = Fields({})


class FrontMatter(NamedTuple):
    """Front matter: its fields, and the offset of the first character after it."""

    fields: Fields
    end: int


def front_matter(text: str) -> FrontMatter:
    """Return the front matter of `text`; no fields and 0 without one, or if it is never closed.

    A file may also begin with a horizontal rule, so a key or the closing line must follow the dashes.
    """
    if text.startswith("---"):
        return _yaml(text)
    if opening := _TOML.match(text):
        closing = _TOML_CLOSING.search(text, opening.end() - 1)
        return FrontMatter(toml_fields(text[opening.end() : closing.start()]), closing.end()) if closing else _no()
    if text.startswith("{"):
        return _json(text)
    if match := _HEXO.match(text):
        return FrontMatter(yaml_fields(match[1]), match.end())
    if match := _HEXO_JSON.match(text):
        fields = json_fields(f"{{{match[1].rstrip().rstrip(',')}}}")
        return FrontMatter(fields, match.end()) if fields.values else _no()
    if match := _PANDOC.match(text):
        return FrontMatter(Fields(_pandoc(match[0])), match.end())
    if match := _WRITERSIDE.match(text):
        return FrontMatter(Fields(dict(_WRITERSIDE_FIELD.findall(match[0]))), match.end())
    if match := _PROPERTIES.match(text):
        return FrontMatter(property_fields(match[0]), match.end())
    return _no()


def begins_with_properties(text: str) -> bool:
    """Return whether `text` begins with `key:: value`, as pages of Logseq do."""
    return _PROPERTIES.match(text) is not None


def front_matter_text(values: Mapping[str, Any]) -> str:
    """Return the text of a home page that VitePress makes from front matter: `hero` and `features`."""
    hero = values.get("hero")
    parts = [hero.get(key) for key in ("name", "title", "text", "tagline")] if isinstance(hero, Mapping) else []
    features = values.get("features")
    for feature in features if isinstance(features, list) else ():
        if isinstance(feature, Mapping):
            parts += [feature.get("title"), feature.get("details")]
    return "".join(f"{plain_inline(part)}\n" for part in parts if isinstance(part, str))[:MAX_HOME_CHARS]


def _no() -> FrontMatter:
    return FrontMatter(_NONE, 0)


def _yaml(text: str) -> FrontMatter:
    if not (opening := _OPENING.match(text)):
        return _no()
    if not (closing := _CLOSING.search(text, opening.end() - 1)):
        return _no()
    content = text[opening.end() : max(opening.end(), closing.start())]
    if content.strip() and not _FIRST_KEY.match(content):
        return _no()
    return FrontMatter(yaml_fields(content, first_line=2), closing.end())


def _json(text: str) -> FrontMatter:
    try:
        values, end = json.JSONDecoder().raw_decode(text[:MAX_CHARS])
    except (ValueError, RecursionError):
        return _no()
    line_end = re.compile(rf"[ \t]*(?:{_END}|\Z)").match(text, end)
    if not isinstance(values, dict) or not values or line_end is None:
        return _no()
    return FrontMatter(json_fields(text[:end]), line_end.end())


def _pandoc(block: str) -> dict[str, Any]:
    fields = re.split(r"(?:\r\n?|\n)%[ \t]*", re.sub(r"^%[ \t]*", "", block))
    named = zip(("title", "author", "date"), fields, strict=False)
    return {name: value for name, field in named if (value := " ".join(field.split()))}
