"""What a reader does not see of each block of a Markdown text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Set

from rag_search.documents.formats.base import Block, Edit
from rag_search.documents.formats.markdown.inline import inline_edits

_QUOTE_PREFIX = re.compile(r"[ \t]*(?:>[ \t]?)+")
_HEADING_PREFIX = re.compile(r"[ \t>]*#{1,6}[ \t]*")
_COLONS = re.compile(r"[ \t]*:::+[ \t]*")  # containers: `::: tip` is read as "tip"
_TABLE_EDGE = re.compile(r"[ \t]*\|")
_PADDING = re.compile(r"(?<=[ \t])[ \t]+")


def document_edits(text: str, starts: Sequence[int], blocks: Iterable[Block], *, labels: Set[str]) -> Iterator[Edit]:
    """Yield the edits of all blocks.

    starts: offsets of the lines. labels: names of link definitions, see `label_key`.
    """
    for block, quoted in _leaves(blocks):
        lines = [_line(text, starts, line) for line in range(block.start, block.end)]
        start, end = lines[0][0], starts[block.end] if block.end < len(starts) else len(text)
        if quoted:
            yield from _prefixes(_QUOTE_PREFIX, text, lines)
        match block.kind:
            case "fence" | "code":
                pass
            case "definition" | "rule":
                yield Edit(start, end, "\n")
            case "table":
                yield from _table_edits(text, lines, labels)
            case "heading":
                yield from _heading_edits(text, lines, labels)
            case _:
                if ":::" in text[start:end]:
                    yield from _prefixes(_COLONS, text, lines)
                yield from inline_edits(text, start, end, labels=labels)


def _leaves(blocks: Iterable[Block], *, quoted: bool = False) -> Iterator[tuple[Block, bool]]:
    """Yield blocks without children, and whether they are in a quote."""
    for block in blocks:
        if block.children:
            yield from _leaves(block.children, quoted=quoted or block.kind == "quote")
        else:
            yield block, quoted or block.kind == "quote"


def _line(text: str, starts: Sequence[int], line: int) -> tuple[int, int]:
    """Return the offsets of a line without its line end and the blanks before it."""
    start, end = starts[line], starts[line + 1] if line + 1 < len(starts) else len(text)
    return start, start + len(text[start:end].rstrip(" \t\r\n"))


def _prefixes(pattern: re.Pattern[str], text: str, lines: Iterable[tuple[int, int]]) -> Iterator[Edit]:
    for start, end in lines:
        if match := pattern.match(text, start, end):
            yield Edit(start, match.end())


def _heading_edits(text: str, lines: Sequence[tuple[int, int]], labels: Set[str]) -> Iterator[Edit]:
    start, end = lines[0][0], lines[-1][1]
    if len(lines) > 1:  # a setext heading: its last line is the underline
        yield Edit(lines[-1][0], end)
        end = lines[-1][0]
    else:
        yield from _prefixes(_HEADING_PREFIX, text, lines)
        bare = start + len(text[start:end].rstrip("#"))
        if bare < end and text[bare - 1] in " \t":
            yield Edit(bare, end)
            end = bare
    yield from inline_edits(text, start, end, labels=labels)


def _table_edits(text: str, lines: Sequence[tuple[int, int]], labels: Set[str]) -> Iterator[Edit]:
    yield Edit(*lines[1])  # |---|---|
    for start, end in [lines[0], *lines[2:]]:
        yield from _prefixes(_TABLE_EDGE, text, [(start, end)])
        if text[end - 1] == "|":
            yield Edit(end - 1, end)
        for padding in _PADDING.finditer(text, start, end):
            yield Edit(padding.start(), padding.end())
        yield from inline_edits(text, start, end, labels=labels)
