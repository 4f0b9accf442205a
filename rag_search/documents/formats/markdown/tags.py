"""Read tags of components, shortcodes and templates: the tag is hidden, the text in its attributes is not."""

from __future__ import annotations

import html
import re

from rag_search.documents.formats.markdown.context import Context
from rag_search.documents.formats.markdown.html_tags import BLOCK_TAGS, INLINE_TAGS

MAX_TAG_CHARS = 4_000
MAX_TEXT_CHARS = 300

# attributes in which components keep text that the page shows
_TEXT_NAMES = (
    "title|label|body|path|query|name|header|heading|caption|summary|question|description|text|alt|alt-text|tagline"
)
_VALUE = r"""(?:"([^"<>]*)"|'([^'<>]*)'|\{[ \t]*["'`]([^"'`{}<>]*)["'`][ \t]*\})"""
_TEXT_ATTRIBUTE = re.compile(rf"(?:^|[\s:])(?:{_TEXT_NAMES})[ \t]*=[ \t]*{_VALUE}")
_ALT = re.compile(r"""[ \t\r\n]alt=["']([^"'<>]*)["']""")

_BRACES = r"\{[^{}]*+\}"
for _ in range(3):  # an expression may have objects in lists of objects
    _BRACES = rf"\{{(?:[^{{}}]++|{_BRACES})*+\}}"
_ATTRIBUTES = rf"""(?:[^<>{{}}"'=]|=?"[^"<]*+"|=?'[^'<]*+'|=|=?{_BRACES}){{0,{MAX_TAG_CHARS}}}+"""
TAG = re.compile(rf"</?([A-Za-z][\w.:-]{{0,60}})((?:[ \t\r\n/][^<>]{{0,{MAX_TAG_CHARS}}})?)>")
JSX = re.compile(rf"<([A-Za-z][\w.:-]{{0,60}})([ \t\r\n]{_ATTRIBUTES})>")

_SHORTCODE = re.compile(r"\{\{[<%][ \t]*(?:/[ \t]*)?([\w./-]++)([^{}]{0,1000}?)/?[ \t]{0,8}[>%]\}\}")
_LIQUID = re.compile(r"\{%-?[ \t]*([\w-]++)((?:[^{}%]|%(?!\})){0,1000}?)-?%\}")
_INCLUDE = re.compile(r"\{\{#[a-z_]+[^{}\r\n]{0,300}\}\}")  # mdBook
_POSITIONAL = re.compile(r"^\s*\"([^\"]*)\"|^\s*'([^']*)'")
_TITLED = frozenset({"tab", "details", "expand", "collapse", "callout", "admonition", "card", "accordion", "step"})
_LIQUID_NAMES = """
asset_img asset_link asset_path data elsif endraw icon ifversion include my octicon post_link post_url raw term
"""
_LIQUID_INLINE = frozenset(_LIQUID_NAMES.split())
_ARGUMENTS = r"""(?:"[^"\r\n]{0,200}"|'[^'\r\n]{0,200}'|[\w ,.%-]){0,40}+"""
_CALL = re.compile(rf"\{{\{{([A-Za-z]\w{{1,40}})(?:\(({_ARGUMENTS})\))?\}}\}}")  # MDN
_STRINGS = re.compile(r"\"([^\"\r\n]*)\"|'([^'\r\n]*)'")

Replacement = tuple[int, str]  # end of the tag, and the text that a reader sees of it


def read_tag(text: str, start: int, end: int, context: Context) -> Replacement | None:
    """Return the end and the visible text of the tag at `start`, None if it is not a tag."""
    tag = TAG.match(text, start, end)
    jsx = None if tag and "{" not in tag[2] and tag[2].count('"') % 2 == 0 else JSX.match(text, start, end)
    if not (match := jsx or tag):
        return None
    name, attributes = match[1], match[2]
    if name.lower() in INLINE_TAGS and name.islower():
        return match.end(), ""
    if name.lower() in BLOCK_TAGS and not name[0].isupper():
        alt = _ALT.search(attributes) if name.lower() == "img" else None
        return match.end(), html.unescape(alt[1][:MAX_TEXT_CHARS]) if alt else " "
    if "=" in attributes or attributes.strip().endswith("/") or name in context.components:
        return match.end(), attribute_text(attributes) or ("" if text.startswith("/", start + 1) else " ")
    if name.lower() in INLINE_TAGS | BLOCK_TAGS:
        return match.end(), "" if name.lower() in INLINE_TAGS else " "
    return None  # `List<String>`, `<your-name>`: text that is not escaped


def attribute_text(attributes: str) -> str:
    """Return the text of the attributes that a page shows."""
    values = ("".join(filter(None, match.groups())) for match in _TEXT_ATTRIBUTE.finditer(attributes))
    return html.unescape(" ".join(value[:MAX_TEXT_CHARS] for value in values if value))


def read_braces(text: str, start: int, end: int, context: Context) -> Replacement | None:
    """Return the end and the visible text of a shortcode, template tag or include at `start`, None if there is none.

    `{{ value }}` is kept: it is text on all pages that are not made from templates.
    """
    if match := _SHORTCODE.match(text, start, end):
        return match.end(), _shortcode_text(match[1], match[2])
    if match := _LIQUID.match(text, start, end):
        name = match[1].removeprefix("end").lstrip("_")
        if name in context.liquid_blocks or match[1] in _LIQUID_INLINE or _is_alone(text, match.start(), match.end()):
            return match.end(), _shortcode_text(match[1], match[2])
        return None
    if match := _INCLUDE.match(text, start, end):
        return match.end(), ""
    match = _CALL.match(text, start, end)
    return (match.end(), shown) if match and (shown := _call_text(text, match)) is not None else None


def _call_text(text: str, call: re.Match[str]) -> str | None:
    """Return what a page of MDN shows of `{{Name("argument", "text")}}`; None if it may be no such call."""
    name, arguments = call.groups()
    is_reference = name.lower().endswith("xref") and bool(arguments)
    if name[0].isupper() and not is_reference and _is_alone(text, call.start(), call.end(), lead=" \t"):
        return ""
    strings = ["".join(found) for found in _STRINGS.findall(arguments or "")]
    if not strings:
        return None
    shown = strings[1] if len(strings) > 1 and strings[1] else strings[0]
    return f"<{shown}>" if name.lower() == "htmlelement" else shown


def _shortcode_text(name: str, arguments: str) -> str:
    if shown := attribute_text(arguments):
        return shown
    if name in ("data", "term"):  # the docs of GitHub and Home Assistant: the name stands for the text
        return arguments.strip(" \t\"'").rsplit(".", 1)[-1].removeprefix("prodname_").replace("_", " ")
    positional = _POSITIONAL.match(arguments) if name.lower() in _TITLED else None
    return "".join(filter(None, positional.groups())) if positional else ""


def _is_alone(text: str, start: int, end: int, *, lead: str = " \t>-*") -> bool:
    """Return whether a tag has no other text on its line. lead: characters that may stand before it."""
    line_start = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    before = text[max(line_start, start - 200) : start].strip(lead)
    after = text[end : end + 200].split("\n", 1)[0].strip()
    return not any(_CALL.sub("", _LIQUID.sub("", part)).strip() for part in (before, after))
