"""Find what a reader does not see of each block of a Markdown text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise

from rag_search.documents.formats.base import Block, Edit
from rag_search.documents.formats.markdown.context import Context
from rag_search.documents.formats.markdown.inline import inline_edits, plain_inline
from rag_search.documents.formats.markdown.whole_lines import EMPTY_DIRECTIVES, TRIGGER, read_line

_LIST_MARKS = r"(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*"
_MARKS = r"(?:[ \t>]|(?:[-*+]|\d{1,9}[.)])[ \t]+)*+"  # possessive: there is one way through them
_CONTENT = re.compile(_MARKS)
_HEADING_PREFIX = re.compile(rf"{_MARKS}#{{1,6}}[ \t]*")
_TABLE_EDGE = re.compile(r"[ \t]*\|")
_PADDING = re.compile(r"(?<=[ \t])[ \t]+")
_OPTION = re.compile(r"[ \t]*(?:#\||//\||:[\w-]+:)")  # of a Quarto cell or a MyST directive
_OPTION_BLOCK = re.compile(r"[ \t]*---$")  # options of a MyST directive in YAML, up to the same line again
_COLON_DIRECTIVE = re.compile(r"[ \t>]*:{3,}[ \t]*\{")
_RUST_HIDDEN = re.compile(r"[ \t]*#(?:[ \t]|$)")  # mdBook compiles these lines and does not show them
_DIRECTIVE_INFO = re.compile(r"[ \t>]*[`~:]{3,}[ \t]*\{([\w:.-]*)")
_NOT_SHOWN = re.compile(  # Documenter.jl; MDN's code of examples that run
    r"[ \t>]*[`~]{3,}[ \t]*(?:@(?:autodocs|contents|index|meta|setup)\b|[a-z]+(?:[ \t]+[\w-]+){0,5}[ \t]+hidden\b)"
)
_RUST_INFO = re.compile(r"[ \t>]*[`~]{3,}[ \t]*rust\b")

_Line = tuple[int, int]  # offsets of a line without its line end and the blanks before it


def document_edits(
    text: str, starts: Sequence[int], blocks: Iterable[Block], *, context: Context, quotes: int = 0
) -> Iterator[Edit]:
    """Yield the edits of all blocks.

    starts: offsets of the lines. quotes: number of quotes around the blocks.
    """
    for block in blocks:
        inner_quotes = quotes + (block.kind == "quote")
        if block.kind == "quote":
            yield from _quote_edits(text, _lines(text, starts, block), inner_quotes)
        if block.children:
            yield from document_edits(text, starts, block.children, context=context, quotes=inner_quotes)
            continue
        start, end = starts[block.start], starts[block.end] if block.end < len(starts) else len(text)
        match block.kind:
            case "fence":
                yield from _fence_edits(text, _lines(text, starts, block))
            case "code":
                pass
            case "definition" | "rule":
                yield Edit(start, end, "\n")
            case "table":
                yield from _table_edits(text, _lines(text, starts, block), context)
            case "heading":
                yield from _heading_edits(text, _lines(text, starts, block), context)
            case _:
                if TRIGGER.search(text, start, end):
                    yield from _whole_line_edits(text, _lines(text, starts, block), context)
                yield from inline_edits(text, start, end, context=context)


def _lines(text: str, starts: Sequence[int], block: Block) -> list[_Line]:
    bounds = [*starts[block.start : block.end + 1], len(text)]
    return [
        (bounds[line], bounds[line] + len(text[bounds[line] : bounds[line + 1]].rstrip(" \t\r\n")))
        for line in range(block.end - block.start)
    ]


def _prefixes(pattern: re.Pattern[str], text: str, lines: Iterable[_Line]) -> Iterator[Edit]:
    for start, end in lines:
        if match := pattern.match(text, start, end):
            yield Edit(start, match.end())


def _quote_edits(text: str, lines: Iterable[_Line], depth: int) -> Iterator[Edit]:
    """Hide up to `depth` marks `>` at the beginning of all lines of a quote; list marks stay."""
    prefix = _quote_prefix(depth)
    for start, end in lines:
        if match := prefix.match(text, start, end):
            yield Edit(match.start("quote") if match["list"] else start, match.end())


@cache
def _quote_prefix(depth: int) -> re.Pattern[str]:
    return re.compile(rf"[ \t]*(?P<list>{_LIST_MARKS})(?P<quote>(?:[ \t]*>[ \t]?){{1,{depth}}})")


def _whole_line_edits(text: str, lines: Iterable[_Line], context: Context) -> Iterator[Edit]:
    in_options = False
    for start, end in lines:
        in_options = bool(in_options and _OPTION.match(text, start, end))
        if in_options:
            yield Edit(start, end)
            continue
        content = _CONTENT.match(text, start, end)
        begin = content.end() if content else start
        if shown := read_line(text[begin:end]):
            yield Edit(begin + shown[0], end, plain_inline(shown[1], context=context))
            in_options = bool(_COLON_DIRECTIVE.match(text, start, end))


def _fence_edits(text: str, lines: Sequence[_Line]) -> Iterator[Edit]:
    """Hide options at the top of a directive or a notebook cell, and lines of Rust that mdBook hides."""
    begin, end = lines[0]
    first = text[begin:end]
    if _NOT_SHOWN.match(first):
        yield Edit(begin, lines[-1][1])
    elif directive := _DIRECTIVE_INFO.match(first):
        if directive[1] in EMPTY_DIRECTIVES:
            yield Edit(begin, lines[-1][1])
            return
        in_block = False
        for line, following in pairwise(lines[1:]):
            is_border = bool(_OPTION_BLOCK.match(text, *line)) and (in_block or line == lines[1])
            if not (in_block or is_border or _OPTION.match(text, *line)):
                break
            in_block = in_block != is_border
            yield Edit(line[0], following[0])
    elif _RUST_INFO.match(first):
        for line, following in pairwise(lines[1:]):
            if _RUST_HIDDEN.match(text, *line):
                yield Edit(line[0], following[0])


def _heading_edits(text: str, lines: Sequence[_Line], context: Context) -> Iterator[Edit]:
    start, end = lines[0][0], lines[-1][1]
    prefix = _HEADING_PREFIX.match(text, *lines[0])
    if prefix:
        yield Edit(start, prefix.end())
        bare = start + len(text[start:end].rstrip("#"))
        if bare < end and text[bare - 1] in " \t":
            yield Edit(bare, end)
            end = bare
    elif len(lines) > 1 and not text[start:end].lstrip().startswith("<"):
        yield Edit(lines[-1][0], end)  # the underline of a setext heading
        end = lines[-1][0]
    yield from inline_edits(text, start, end, context=context)


def _table_edits(text: str, lines: Sequence[_Line], context: Context) -> Iterator[Edit]:
    yield Edit(*lines[1])  # |---|---|
    for start, end in [lines[0], *lines[2:]]:
        yield from _prefixes(_TABLE_EDGE, text, [(start, end)])
        if text[end - 1] == "|":
            yield Edit(end - 1, end)
        for padding in _PADDING.finditer(text, start, end):
            yield Edit(padding.start(), padding.end())
        yield from inline_edits(text, start, end, context=context)
