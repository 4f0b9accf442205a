"""Divide a document into sections, one for each heading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_search.documents.formats import Block, ParsedText
from rag_search.documents.formats.visible import VisibleText
from rag_search.text.lines import line_starts
from rag_search.text.names import shortened


@dataclass(frozen=True, slots=True)
class Section:
    """Lines [start, end) under one heading, which is its first block; the text before the first heading has none.

    path: the headings above it, its own last, as plain text, without those that only repeat the title.
    """

    path: tuple[str, ...]
    start: int
    end: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """The sections of a document, which partition its lines. line_starts: see rag_search.text.lines."""

    line_starts: Sequence[int]
    sections: tuple[Section, ...]
    visible: VisibleText


def outline_of(parsed: ParsedText, text: str, title: str) -> Outline:
    """Return the sections of a parsed text. title: left out of the heading paths."""
    starts = line_starts(text)
    sections = tuple(_sections(parsed.blocks, len(starts), title))
    return Outline(starts, sections, VisibleText(text, parsed.edits))


def _sections(blocks: Sequence[Block], lines: int, title: str) -> Iterator[Section]:
    """Yield the sections. Only a heading at the top level begins one: in a quote or list it belongs to that."""
    heads = [position for position, block in enumerate(blocks) if block.kind == "heading"]
    borders = [*heads, len(blocks)]
    if not heads or heads[0] > 0 or blocks[0].start > 0:
        yield Section((), 0, blocks[heads[0]].start if heads else lines, tuple(blocks[: borders[0]]))
    above: list[tuple[int, str]] = []
    for head, border in zip(heads, borders[1:], strict=True):
        heading = blocks[head]
        while above and above[-1][0] >= heading.level:
            above.pop()
        above.append((heading.level, shortened(heading.content)))
        path = tuple(name for _, name in above if name and name != title)
        end = blocks[border].start if border < len(blocks) else lines
        yield Section(path, heading.start, end, tuple(blocks[head:border]))
