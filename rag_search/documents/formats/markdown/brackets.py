"""Read what is in brackets and braces: wiki links, footnotes, link targets, attributes, roles, expressions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag_search.documents.formats.base import Edit

if TYPE_CHECKING:
    from rag_search.documents.formats.markdown.tags import Replacement

MAX_PARENTHESES = 4  # nested in a target; without a bound, a million `](` would each read on to the last

_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,100}\](:[ \t]*)?")
_WIKI_LINK = re.compile(r"(!?)\[\[(?=[^\s\[\]])([^\[\]\r\n|]{1,300})(?:\|([^\[\]\r\n]{0,300}))?\]\]")
_FILE = re.compile(
    r"\.(?:png|jpe?g|gif|svg|webp|avif|bmp|mp4|webm|mov|mp3|wav|ogg|pdf|canvas|excalidraw)$", re.IGNORECASE
)
_BLOCK_REFERENCE = re.compile(r"\(\([0-9a-f]{8}-[0-9a-f-]{27}\)\)")
_MACRO = re.compile(
    r"\{\{(?:embed|query|renderer|video|youtube|tweet|function)\b[ \t]*"
    r"(?:\[\[([^\[\]\r\n]{1,300})\]\])?[^{}]{0,1000}\}\}"
)
_BLOCK_ID = re.compile(r"#\^[\w-]*$")
_CONTENTS = re.compile(r"_?(?:toc|tosp)_?$", re.IGNORECASE)

MAX_LANGUAGE_CHARS = 24
_LANGUAGE = re.compile(r"\{:\.?[a-z][\w.-]*\}$")
_ATTRIBUTE = (
    r"""(?:[#.][\w:-]{1,100}|:[\w.-]*|[\w:@-]{1,60}=(?:"[^"{}\r\n]{0,300}"|'[^'{}\r\n]{0,300}'|[^\s"'{}]{1,100}))"""
)
_ATTRIBUTES = re.compile(rf"\{{:?[ \t]*{_ATTRIBUTE}(?:[ \t]+(?:{_ATTRIBUTE}|[\w-]{{1,60}})){{0,20}}[ \t]*\}}")
_ANCHOR = re.compile(r"\{[ \t]?[#.:][^{}\r\n]{0,200}\}|\{-\}(?=[ \t]*(?:[\r\n]|\Z))")
_ROLE = re.compile(r"\{([A-Za-z][\w:+.-]{0,40})\}(`{1,3})(?!`)([^`]{1,300})\2(?!`)")
_ROLE_TARGET = re.compile(r"(?<!\s)\s*<[^<>]*>$")
_EXPRESSION = re.compile(r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}+\}){0,500}+\}){0,1000}+\}")
_MATH = re.compile(r"\$\$[^$`]{1,4000}\$\$|\$(?![\s$])(?:[^$`\\\r\n]|\\.){1,500}(?<!\s)\$(?!\d)")
_STRING = re.compile(r"""\{\s*(?:"([^"{}]*)"|'([^'{}]*)'|`([^`{}$]*)`)\s*\}""")


def read_bracket(text: str, start: int, end: int) -> Replacement | None:
    """Return the end and the visible text of a footnote mark or a wiki link at `start`, None if there is none."""
    if text.startswith("![^", start) and (footnote := _FOOTNOTE.match(text, start + 1, end)):
        return footnote.end() - len(footnote[1] or ""), "!"
    if footnote := _FOOTNOTE.match(text, start, end):
        begins_line = not text[max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1 : start].strip(" \t>")
        return (footnote.end() if begins_line else footnote.end() - len(footnote[1] or "")), ""
    if link := _WIKI_LINK.match(text, start, end):
        return link.end(), _wiki_text(link[2], link[3], is_embed=bool(link[1]))
    return None


def _wiki_text(target: str, alias: str | None, *, is_embed: bool) -> str:
    if _CONTENTS.match(target):
        return ""
    if is_embed and _FILE.search(target.split("#")[0]):
        return "" if alias is None or re.fullmatch(r"\d+(x\d+)?", alias.strip()) else alias.strip()
    if alias is not None and alias.strip():
        return alias.strip()
    return " > ".join(part for part in _BLOCK_ID.sub("", target).split("#") if part.strip())


def read_block_reference(text: str, start: int, end: int) -> Replacement | None:
    """Return the end of a Logseq block reference at `start`, an id without text, None if there is none."""
    match = _BLOCK_REFERENCE.match(text, start, end)
    return (match.end(), "") if match else None


def read_macro(text: str, start: int, end: int) -> Replacement | None:
    """Return the end of a Logseq macro at `start` and the page that it shows, None if there is none."""
    match = _MACRO.match(text, start, end)
    return (match.end(), match[1] or "") if match else None


def read_math(text: str, start: int, end: int) -> int:
    """Return where a formula `$...$` or `$$...$$` at `start` ends, 0 if there is none. It is shown as it is."""
    match = _MATH.match(text, start, end)
    return match.end() if match else 0


def language_start(text: str, start: int, end: int) -> int:
    """Return where the language at the end of a code span begins, as in `x = 1{:js}`; `end` if there is none."""
    opening = text.rfind("{:", max(start, end - MAX_LANGUAGE_CHARS), end)
    return opening if opening > start and _LANGUAGE.match(text, opening, end) else end


def closing_parenthesis(text: str, opening: int, end: int) -> int:
    """Return the offset after the parenthesis that closes the one at `opening`, or 0. A blank line ends the search."""
    depth, position = 0, opening
    while position < end:
        char = text[position]
        if char == "\\":
            position += 1
        elif char == "(":
            depth += 1
            if depth > MAX_PARENTHESES:
                return 0
        elif char == ")":
            depth -= 1
            if not depth:
                return position + 1
        elif char == "\n" and text[position + 1 : position + 2] in ("\n", "\r", ""):
            return 0
        position += 1
    return 0


def read_attributes(text: str, start: int, end: int) -> int:
    """Return where `{#id .class key="value"}` at `start` ends, 0 if these are not attributes."""
    match = _ATTRIBUTES.match(text, start, end) or _ANCHOR.match(text, start, end)
    return match.end() if match else 0


def may_be_attributes(text: str, stretch: int, start: int, end: int) -> bool:
    """Return whether text[start:end], `{...}`, can be attributes.

    They begin with `.#:`, follow what they belong to without a blank, or have a line of their own.
    """
    first = text[start + 1 : start + 3].lstrip()[:1]
    before = text[start - 1] if start > stretch else "\n"
    is_line = before in "\r\n" and text[end : end + 1] in ("\r", "\n", "")
    return first in ("#", ".", ":", "-") or before in ")]}*_`" or is_line


def read_role(text: str, start: int, end: int) -> list[Edit]:
    """Return the edits of a role such as {ref}`text <target>` at `start`, [] if there is none."""
    if not (role := _ROLE.match(text, start, end)):
        return []
    target = _ROLE_TARGET.search(role[3])
    shown_end = role.start(3) + target.start() if target and target.start() else role.end(3)
    return [Edit(start, role.start(3)), Edit(shown_end, role.end())]


def read_expression(text: str, start: int, end: int) -> Replacement | None:
    """Return the end and the visible text of an MDX expression at `start`: a string is text, all else is hidden."""
    if string := _STRING.match(text, start, end):
        return string.end(), "".join(filter(None, string.groups()))
    match = _EXPRESSION.match(text, start, end)
    return (match.end(), "") if match else None
