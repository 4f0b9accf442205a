"""HTML pages: what is shown, with offsets into the source."""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

from rag_search.documents.formats.base import Block, Edit, ParsedText, decode_text
from rag_search.documents.formats.fields import Fields
from rag_search.documents.formats.markdown.front_matter import FrontMatter, front_matter
from rag_search.documents.formats.page_tags import Tag, attributes_of, pairs_of, tags_of
from rag_search.documents.formats.visible import VisibleText
from rag_search.text.lines import line_of, line_starts

LONG_LINE = 2_000  # characters; a longer one was written by a program and is broken at the blocks that it shows

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?")
_TEMPLATE = re.compile(
    r"\{%-?[ \t]?comment[ \t]?-?%\}[^\0]{0,5000}?\{%-?[ \t]?endcomment[ \t]?-?%\}"
    r"|\{%[^\0]{0,2000}?%\}|\{#[^\0]{0,2000}?#\}|\{\{-?[ \t]?/\*[^\0]{0,2000}?\*/[ \t]?-?\}\}"
)
_HIDDEN_NAMES = """
script style template svg head nav footer noscript iframe object canvas audio video select button form dialog
"""
_HIDDEN = frozenset(_HIDDEN_NAMES.split())
_BLOCKS_NAMES = """
address article aside blockquote body dd details div dl dt fieldset figcaption figure h1 h2 h3 h4 h5 h6 header hr
html li main ol p pre section summary table tbody td tfoot th thead tr ul
"""
_BLOCKS = frozenset(_BLOCKS_NAMES.split())
_BREAKS = _BLOCKS - {"td", "th", "html", "body"}
_LONG_LINE = re.compile(rf"[^\r\n]{{{LONG_LINE + 1},}}")
_DATES = ("article:modified_time", "last-modified", "article:published_time", "date", "dc.date")


class Html:
    """HTML. The title is the first `<h1>` of the content, else `<title>`; navigation and scripts are hidden."""

    name = "html"
    suffixes = frozenset({".html", ".htm", ".xhtml"})
    is_markdown = False
    is_installed = True

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16, and break very long lines before the blocks that they show.

        Below a break, the numbers of lines are no longer those of the file. So nothing else is broken: a table of
        contents in one line, as mdBook writes it, is navigation and stays as it is.
        """
        text = decode_text(content)
        bounds = [0, *_breaks(text), len(text)]
        return "\n".join(text[start:end] for start, end in pairwise(bounds))

    def parse(self, text: str) -> ParsedText:
        """Return headings, blocks, and edits for all tags and for what a page does not show."""
        fields, body = front_matter(text) if text.startswith("---") else FrontMatter(Fields({}), 0)
        tags, hidden = tags_of(text)
        pairs = pairs_of(tags)
        hidden += [Edit(0, body), *_outside_of_main(tags, pairs, len(text)), *_template_marks(text, tags, pairs)]
        edits = [*hidden, *_tag_edits(tags), *_entities(text), *_hidden_elements(tags, pairs)]
        visible = VisibleText(text, edits)
        blocks = list(_blocks(text, tags, pairs, visible))
        headings = [block for block in blocks if block.kind == "heading"]
        first = next((block.content for block in headings if block.level == 1), "")
        only = headings[0].content if len(headings) == 1 else ""  # a part of a page
        title = str(fields.values.get("title") or "") or first or _title(text, tags, pairs) or only
        return ParsedText(title, {**_metadata(tags), **fields.values}, blocks, edits, fields.problem)


def _breaks(text: str) -> Iterator[int]:
    """Yield the offset of each shown block that begins within a very long line."""
    lines = [
        (match.start() + len(match[0]) - len(match[0].lstrip()) + 1, match.end()) for match in _LONG_LINE.finditer(text)
    ]
    if not lines:
        return
    tags, edits = tags_of(text)
    pairs = pairs_of(tags)
    edits += [*_outside_of_main(tags, pairs, len(text)), *_hidden_elements(tags, pairs)]
    is_long, is_hidden = _within(lines), _within((edit.start, edit.end) for edit in edits)
    for tag in tags:
        if tag.name in _BREAKS and not tag.is_end and is_long(tag.start) and not is_hidden(tag.start):
            yield tag.start


def _within(spans: Iterable[tuple[int, int]]) -> Callable[[int], bool]:
    """Return what tells whether an offset is in one of the spans [start, end)."""
    ordered = sorted(spans)
    starts, ends = [start for start, _ in ordered], list(accumulate((end for _, end in ordered), max))

    def is_within(offset: int) -> bool:
        before = bisect_right(starts, offset) - 1
        return before >= 0 and offset < ends[before]

    return is_within


def _outside_of_main(tags: Sequence[Tag], pairs: dict[int, int], end: int) -> list[Edit]:
    """Return edits that hide all around the main content, if the page says where that is."""
    for wanted in ("main", 'role="main"', "article"):
        found = [i for i in pairs if tags[i].name == wanted or wanted in tags[i].attributes]
        if len(found) == 1:
            first, last = tags[found[0]], tags[pairs[found[0]]]
            return [Edit(0, first.start), Edit(last.end, end)]
    return []


def _template_marks(text: str, tags: Sequence[Tag], pairs: dict[int, int]) -> Iterator[Edit]:
    """Yield edits that hide tags and comments of templates (Jinja, Liquid, Go) outside of code."""
    if "{%" not in text and "{#" not in text and "{{" not in text:
        return
    is_code = _within((tags[i].end, tags[j].start) for i, j in pairs.items() if tags[i].name in ("code", "pre"))
    yield from (Edit(*match.span()) for match in _TEMPLATE.finditer(text) if not is_code(match.start()))


def _hidden_elements(tags: Sequence[Tag], pairs: dict[int, int]) -> Iterator[Edit]:
    return (Edit(tags[i].start, tags[j].end) for i, j in pairs.items() if _is_hidden(tags[i]))


def _is_hidden(tag: Tag) -> bool:
    return (
        tag.name in _HIDDEN or (tag.name == "a" and "headerlink" in tag.attributes) or "aria-hidden=" in tag.attributes
    )


def _tag_edits(tags: Sequence[Tag]) -> Iterator[Edit]:
    for tag in tags:
        shown = " " if tag.name in _BLOCKS or tag.name == "br" else ""
        if tag.name == "img":
            shown = attributes_of(tag.attributes).get("alt", "")
        elif tag.name == "li" and not tag.is_end:
            shown = "- "
        yield Edit(tag.start, tag.end, shown)


def _entities(text: str) -> Iterator[Edit]:
    for entity in _ENTITY.finditer(text) if "&" in text else ():
        if (shown := html.unescape(entity[0])) != entity[0]:
            yield Edit(*entity.span(), shown.replace("\xa0", " "))


def _blocks(text: str, tags: Sequence[Tag], pairs: dict[int, int], visible: VisibleText) -> Iterator[Block]:
    """Yield headings, code and paragraphs; a new block begins at each line in which an element of a block begins."""
    starts = line_starts(text)
    bounds = [*starts, len(text)]
    marks: dict[int, tuple[str, int, int, str]] = {}
    for i, tag in enumerate(tags):
        if tag.is_end or tag.name not in _BLOCKS:
            continue
        first = line_of(starts, tag.start)
        kind, last, level, content = "html", first + 1, 0, ""
        if i in pairs and (tag.name[0] == "h" and tag.name[1:].isdigit()):
            content = " ".join(visible.between(tag.start, tags[pairs[i]].end).split())
            kind, level = ("heading", int(tag.name[1])) if content else ("html", 0)
            last = line_of(starts, tags[pairs[i]].end - 1) + 1
        elif i in pairs and tag.name == "pre":
            kind, last = "code", line_of(starts, tags[pairs[i]].end - 1) + 1
        if marks.get(first, ("html",))[0] == "html":
            marks[first] = (kind, last, level, content)
    line = 0
    for first, (kind, last, level, content) in sorted(marks.items()):
        if first < line:
            continue
        yield from _html(line, first, bounds, visible)
        line = first
        if kind != "html":
            yield Block(kind, first, last, level, content)
            line = last
    yield from _html(line, len(starts), bounds, visible)


def _html(first: int, last: int, bounds: Sequence[int], visible: VisibleText) -> Iterator[Block]:
    if first < last and visible.text[bounds[first] : bounds[last]].strip():
        yield Block("html", first, last)


def _title(text: str, tags: Sequence[Tag], pairs: dict[int, int]) -> str:
    for start, end in pairs.items():
        if tags[start].name == "title":
            return html.unescape(" ".join(text[tags[start].end : tags[end].start].split()))
    return ""


def _metadata(tags: Sequence[Tag]) -> dict[str, Any]:
    """Return description, keywords, author and date from `<meta>`."""
    found: dict[str, Any] = {}
    for tag in tags:
        if tag.name != "meta":
            continue
        values = attributes_of(tag.attributes)
        name, content = (values.get("name") or values.get("property") or "").lower(), values.get("content", "").strip()
        if name == "keywords":
            found["keywords"] = [word.strip() for word in content.split(",") if word.strip()]
        elif name in ("description", "author") and content:
            found[name] = content
        elif name in _DATES and content:
            found["updated" if "modified" in name else "date"] = content
    return found
