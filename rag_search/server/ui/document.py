"""Render a document as harmless HTML: no raw HTML, no images, only http links, bounded in size.

Markdown is rendered by markdown-it with HTML switched off, so tags of a document appear as text. Its worst cases take
quadratic time; PREVIEW_CHARS keeps them at a second or two. Text of other formats is shown line by line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

from rag_search.documents.formats import format_named
from rag_search.documents.formats.markdown.blocks import iter_blocks
from rag_search.documents.formats.markdown.front_matter import front_matter
from rag_search.records import Document
from rag_search.server.ui.results import safe
from rag_search.text.dates import marked_day
from rag_search.text.lines import LINE_END
from rag_search.text.sanitize import plain

PREVIEW_CHARS = 40_000
PARSED_CHARS = 200_000  # around the passage; only a longer document can be cut within a block
META_FIELDS, META_CHARS = 8, 80

# a passage may begin or end inside these
_CONTAINERS = {"bullet_list_open", "ordered_list_open", "blockquote_open", "table_open", "thead_open", "tbody_open"}

Lines = tuple[int, int]  # 0-based, half open


def document_html(document: Document, shown_path: str, first: int, last: int) -> str:
    """Return the document with the lines `first` to `last` (1-based, inclusive) marked, and distant parts left out."""
    is_markdown = format_named(document.format).is_markdown
    lines = LINE_END.split(document.text)
    top = len(LINE_END.findall(document.text[: front_matter(document.text).end])) if is_markdown else 0
    start_of_passage = max(top, min(first, len(lines)) - 1)
    passage = (start_of_passage, max(start_of_passage + 1, min(last, len(lines))))
    start, stop = (_markdown_window if is_markdown else _line_window)(lines, top, passage)
    mark = (passage[0] - start, passage[1] - start)
    body = (render_markdown if is_markdown else render_lines)(lines[start:stop], mark=mark)
    before = _gap(start - top, "above") if start > top else ""
    after = _gap(len(lines) - stop, "below") if stop < len(lines) else ""
    title = f'<div class="doc-title">{safe(document.title)}</div><div class="place">{safe(shown_path)}:{first}</div>'
    close = '<button type="button" class="close">close</button>'
    return f'<article class="doc"><header>{title}{_meta(document)}{close}</header>{before}{body}{after}</article>'


def render_lines(lines: Sequence[str], *, mark: Lines = (0, 0)) -> str:
    """Return lines as preformatted HTML; those in `mark` get the class `found`."""
    parts = (lines[: mark[0]], lines[slice(*mark)], lines[mark[1] :])
    before, found, after = ("".join(f"{safe(line)}\n" for line in part) for part in parts)
    return f'<div class="doc-body"><pre>{before}<span class="found">{found}</span>{after}</pre></div>'


def render_markdown(lines: Sequence[str], *, mark: Lines = (0, 0)) -> str:
    """Return the HTML of Markdown lines. Blocks that share a line with `mark` get the class `found`."""
    while mark[1] < len(lines) and not lines[mark[1]].strip():  # a list ends after the blank lines below it
        mark = (mark[0], mark[1] + 1)
    source = "\n".join(plain(line).replace("\n", " ") for line in lines)[:PREVIEW_CHARS]
    parser = _parser()
    tokens = parser.parse(source)
    whole = [i for i in _blocks_in(tokens, mark) if not tokens[i].level]
    if whole:  # blocks at the top level share one box
        end = next(i for i in range(whole[-1], len(tokens)) if not tokens[i].level and tokens[i].nesting < 1)
        box = [Token("box_open", "section", 1, {"class": "found"}), *tokens[whole[0] : end + 1]]
        tokens[whole[0] : end + 1] = [*box, Token("box_close", "section", -1)]
    return f'<div class="doc-body">{parser.renderer.render(tokens, parser.options, {})}</div>'


def _line_window(lines: Sequence[str], top: int, passage: Lines) -> Lines:
    """Choose the lines to show of a text that is not rendered, from line `top` on."""
    start, stop = _grow([len(line) + 1 for line in lines[top:]], (passage[0] - top, passage[1] - top), PREVIEW_CHARS)
    return top + start, top + stop


def _markdown_window(lines: Sequence[str], top: int, passage: Lines) -> Lines:
    """Choose the lines to show: whole blocks around the passage, or the passage alone if its block is too long."""
    sizes = [len(line) + 1 for line in lines]
    start, stop = _grow(sizes[top:], (passage[0] - top, passage[1] - top), PARSED_CHARS)
    near = lines[top + start : top + stop]
    blocks = [(top + start + block.start, top + start + block.end) for block in iter_blocks("\n".join(near))]
    if not blocks:
        return passage
    inside = [i for i, (first, end) in enumerate(blocks) if first < passage[1] and end > passage[0]]
    inside = inside or [min(range(len(blocks)), key=lambda i: abs(blocks[i][0] - passage[0]))]
    core = (inside[0], inside[-1] + 1)
    block_sizes = [sum(sizes[first:end]) for first, end in blocks]
    if sum(block_sizes[slice(*core)]) > PREVIEW_CHARS:
        return passage
    first_block, last_block = _grow(block_sizes, core, PREVIEW_CHARS)
    first_line = blocks[first_block][0] if first_block else top + start
    return first_line, (blocks[last_block - 1][1] if last_block < len(blocks) else top + stop)


def _grow(sizes: Sequence[int], core: Lines, budget: int) -> Lines:
    """Extend `core` by neighbours on both sides in turn, as long as their sizes fit into `budget`."""
    start, stop = core
    room = budget - sum(sizes[start:stop])
    while True:
        before = start > 0 and sizes[start - 1] <= room
        if before:
            start -= 1
            room -= sizes[start]
        after = stop < len(sizes) and sizes[stop] <= room
        if after:
            room -= sizes[stop]
            stop += 1
        if not before and not after:
            return start, stop


def _blocks_in(tokens: Sequence[Token], mark: Lines) -> list[int]:
    """Return the positions of the outermost tokens that share a line with `mark`, but no container that extends beyond.

    Tokens within a container get their class here.
    """
    positions, passed = [], 0
    for i, token in enumerate(tokens):
        if token.nesting < 0 or token.map is None or token.type == "inline":
            continue
        first, end = token.map
        if first < passed or first >= mark[1] or end <= mark[0]:
            continue
        if token.type in _CONTAINERS and (first < mark[0] or end > mark[1]):
            continue
        passed = end
        positions.append(i)
        if token.level:
            token.attrJoin("class", "found")
    return positions


def _gap(lines: int, where: str) -> str:
    return f'<p class="gap">… {lines:,} lines {where} are not shown</p>'


def _meta(document: Document) -> str:
    """Return the date and the single values of the front matter as HTML."""
    fields: Mapping[str, Any] = document.metadata
    rows = [("updated", marked_day(document.updated, document.updated_from))] if document.updated else []
    rows += [
        (key, str(value))
        for key, value in fields.items()
        if isinstance(value, str | int | float) and key not in ("title", "updated", "date")
    ]
    cells = (f"<span>{safe(key)}: {safe(value[:META_CHARS])}</span>" for key, value in rows[:META_FIELDS])
    return f'<div class="meta">{"".join(cells)}</div>' if rows else ""


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=_Inert)
    return parser.enable(["table", "strikethrough"])


class _Inert(RendererHTML):
    """Renders images as their description, and only links to http addresses."""

    def image(self, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
        """Return the description of an image."""
        described = self.renderInlineAsText(tokens[index].children or [], options, env)
        return f'<span class="image">{escape(described or "image")}</span>'

    def link_open(self, tokens: Sequence[Token], index: int, *_: Any) -> str:
        """Return the start tag of a link, without its address unless it is http."""
        target = escape(str(tokens[index].attrs.get("href", "")))
        if not target.lower().startswith(("http://", "https://")):
            return f'<a title="{target}">'
        return f'<a href="{target}" title="{target}" target="_blank" rel="noopener noreferrer">'
