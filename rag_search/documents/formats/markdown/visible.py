"""The text of a document as a reader sees it, addressed by offsets into the text as it is stored."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence, Set

from rag_search.documents.formats.markdown.blocks import Block
from rag_search.documents.formats.markdown.inline import Edit, inline_edits

_QUOTE_PREFIX = re.compile(r"[ \t]*(?:>[ \t]?)+")
_HEADING_PREFIX = re.compile(r"[ \t>]*#{1,6}[ \t]*")
_COLONS = re.compile(r"[ \t]*:::+[ \t]*")  # containers: `::: tip` is read as "tip"
_TABLE_EDGE = re.compile(r"[ \t]*\|")
_PADDING = re.compile(r"(?<=[ \t])[ \t]+")


class VisibleText:
    """`between(a, b)` is what a reader sees of text[a:b]; an edit counts where it starts."""

    def __init__(self, text: str, edits: Iterable[Edit]) -> None:
        self.text = text
        self.edits = _disjoint(edits)
        self._starts = [edit.start for edit in self.edits]
        self._ends = [edit.end for edit in self.edits]

    def between(self, start: int, end: int) -> str:
        pieces, position = [], start
        for edit in self._overlapping(start, end):
            pieces.append(self.text[position : max(position, edit.start)])
            if edit.start >= start:
                pieces.append(edit.text)
            position = edit.end
        pieces.append(self.text[position:end])
        return "".join(pieces)

    def kept(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [start, end) that no edit touches."""
        position = start
        for edit in self._overlapping(start, end):
            if edit.start > position:
                yield position, edit.start
            position = max(position, edit.end)
        if position < end:
            yield position, end

    def outside_edits(self, offset: int) -> int:
        """`offset`, or the end of the edit that it would cut in two."""
        before = bisect_left(self._starts, offset) - 1
        return max(offset, self._ends[before]) if before >= 0 else offset

    def _overlapping(self, start: int, end: int) -> Sequence[Edit]:
        return self.edits[bisect_right(self._ends, start) : bisect_left(self._starts, end)]


def document_edits(
    text: str, starts: Sequence[int], leaves: Iterable[tuple[Block, bool]], *, labels: Set[str]
) -> Iterator[Edit]:
    """What is not seen of each leaf block. leaves: blocks without children, and whether they stand in a quote."""
    for block, quoted in leaves:
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


def _line(text: str, starts: Sequence[int], line: int) -> tuple[int, int]:
    """Offsets of a line without its line end and the blanks before it."""
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


def _disjoint(edits: Iterable[Edit]) -> list[Edit]:
    """Sorted; of two that overlap the one that starts first (at the same place: the longer one) stays."""
    kept: list[Edit] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= position and edit.end > edit.start:
            kept.append(edit)
            position = edit.end
    return kept
