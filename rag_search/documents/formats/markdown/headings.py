"""Find headings where CommonMark sees none: HTML headings, bullets of an outline. Choose the title."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rag_search.documents.formats.base import Block
from rag_search.documents.formats.markdown.context import Context
from rag_search.documents.formats.markdown.inline import plain_inline
from rag_search.text.lines import LINE_END, line_of

TITLE_WITHIN_CHARS = 64 * 1024  # a heading further down does not name the document
INTRODUCTION_CHARS = 300  # more text before the only heading of level 1, and that is not the title
BADGE_CHARS = 60  # the same for the first of several

_BOOK_PART = re.compile(r"^\((?:PART|APPENDIX)\\?\*?\)[ \t]++(?=.*\{-\}$)")  # bookdown
_TAG = re.compile(r"<[^<>]{0,500}>")
_SUMMARY = re.compile(
    r"^[ \t]*(?:<details\b[^<>\r\n]{0,300}>[ \t]*)?<summary\b[^<>]{0,300}>"
    r"((?:(?!</?summary\b)[^\0]){0,2000}?)</summary>[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_HTML_HEADING = re.compile(
    r"^[ \t]*(?:<(?:div|center|header|p)\b[^<>\r\n]{0,300}>[ \t]*)?<h([1-6])(?:[ \t\r\n][^<>]{0,500})?>"
    r"((?:(?!</?h[1-6]\b)[^\0]){0,2000}?)</h\1>[ \t]*(?:</(?:div|center|header|p)>[ \t]*)?$",
    re.MULTILINE | re.IGNORECASE,
)


def with_headings(blocks: Sequence[Block], text: str, starts: Sequence[int], context: Context) -> list[Block]:
    """Return the blocks with plain text in headings, HTML headings as headings, and outlines opened."""
    if _is_outline(blocks):
        blocks = [inner for block in blocks for inner in _opened(block)]
    bounds = [*starts, len(text)]
    found: list[Block] = []
    for block in blocks:
        if block.kind == "heading":
            found.append(replace(block, content=plain_inline(_BOOK_PART.sub("", block.content), context=context)))
        elif block.kind in ("html", "paragraph"):
            found += _split_html(block, text, bounds, context)
        else:
            found.append(block)
    return list(_with_levels(found, text, bounds))


def _with_levels(blocks: Sequence[Block], text: str, bounds: Sequence[int]) -> Iterator[Block]:
    """Give each `<summary>` a level: that of the heading before it, one more if that heading has no text of its own."""
    level, has_text, after_summary = 1, True, False
    for block in blocks:
        if block.kind != "heading":
            has_text = has_text or bool(_TAG.sub("", text[bounds[block.start] : bounds[block.end]]).strip())
            yield block
            continue
        if is_summary := not block.level:
            block = replace(block, level=min(6, level + (not has_text and not after_summary)))
        level, has_text, after_summary = block.level, False, is_summary
        yield block


def _split_html(block: Block, text: str, bounds: Sequence[int], context: Context) -> Iterator[Block]:
    """Yield the parts of a block of HTML: each `<h2>..</h2>` with lines of its own is a heading.

    bounds: starts of the lines and the length of the text; made once, since a copy for each block would be quadratic.
    """
    start, end = bounds[block.start], bounds[block.end]
    line = block.start
    for match in _html_headings(text, start, end):
        first, last = line_of(bounds, match.start()), line_of(bounds, max(match.start(), match.end() - 1)) + 1
        content = plain_inline(LINE_END.sub(" ", match[match.lastindex or 0]), context=context)
        if first < line or not content:
            continue
        if first > line:
            yield replace(block, start=line, end=first)
        yield Block("heading", first, last, int(match[1]) if match.re is _HTML_HEADING else 0, content)
        line = last
    if line < block.end:
        yield replace(block, start=line)


def _html_headings(text: str, start: int, end: int) -> list[re.Match[str]]:
    lower = text[start:end].lower()
    found = [*_HTML_HEADING.finditer(text, start, end)] if "<h" in lower else []
    found += _SUMMARY.finditer(text, start, end) if "<summary" in lower else ()
    return sorted(found, key=lambda match: match.start())


def _is_outline(blocks: Sequence[Block]) -> bool:
    """Return whether the text is one outline of bullets with headings in it, as Logseq writes pages."""
    lists = [block for block in blocks if block.kind == "list"]
    return bool(lists) and len(lists) >= len(blocks) - 1 and any(_heads(item) for item in _items(lists))


def _items(blocks: Sequence[Block]) -> list[Block]:
    return [item for block in blocks for item in block.children]


def _heads(item: Block) -> bool:
    return bool(item.children) and item.children[0].kind == "heading"


def _opened(block: Block) -> Iterator[Block]:
    """Yield the blocks of a list whose items begin with headings; other lists stay whole."""
    if block.kind != "list" or not any(_heads(item) for item in block.children):
        yield block
        return
    for item in block.children:
        if _heads(item):
            yield item.children[0]
            for child in item.children[1:]:
                yield from _opened(child)
        else:
            yield Block("list", item.start, item.end, children=[item])


def title_of(
    blocks: Sequence[Block], visible_chars: Sequence[int], starts: Sequence[int], body: int, *, lowest: int = 6
) -> str:
    """Return the heading that names the document, "" if none does.

    That is the first of level 1, unless much text precedes it. One of a lower level names the document if nothing
    visible precedes it and no other has its level or a higher one.

    visible_chars: for each block, the visible characters before it.
    body: offset of the text after the front matter.
    lowest: level of the lowest heading that may name the document.
    """
    headings = [(block, before) for block, before in zip(blocks, visible_chars, strict=True) if block.kind == "heading"]
    headings = [(block, before) for block, before in headings if block.content]
    top = min((block.level for block, _ in headings), default=lowest + 1)
    if top > lowest:
        return ""
    block, before = next(pair for pair in headings if pair[0].level == top)
    is_only = sum(other.level == top for other, _ in headings) == 1
    limit = INTRODUCTION_CHARS if is_only else BADGE_CHARS
    is_near = starts[block.start] <= body + TITLE_WITHIN_CHARS
    if top == 1:
        return block.content if is_near and before <= limit else ""
    return block.content if is_only and block is headings[0][0] and not before else ""
