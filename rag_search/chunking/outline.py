"""A document as sections: what stands under which heading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rag_search.documents.formats.markdown.blocks import Block, iter_blocks
from rag_search.documents.formats.markdown.front_matter import front_matter
from rag_search.documents.formats.markdown.inline import Edit, plain_inline
from rag_search.documents.formats.markdown.visible import VisibleText, document_edits
from rag_search.text.lines import line_of, line_starts


@dataclass(frozen=True, slots=True)
class Section:
    """Lines [start, end) under one heading, which is its first block; the text before the first heading has none.

    path: the headings it stands under, its own last, as plain text, without those that only repeat the title.
    """

    path: tuple[str, ...]
    start: int
    end: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Outline:
    """line_starts: see rag_search.text.lines. The sections partition the lines."""

    line_starts: Sequence[int]
    sections: tuple[Section, ...]
    visible: VisibleText


def read_outline(text: str, title: str) -> Outline:
    starts = line_starts(text)
    body = front_matter(text).end
    first_line = line_of(starts, body) if body < len(text) else len(starts)
    labels: set[str] = set()
    blocks = list(iter_blocks(text, first_line=first_line, labels=labels))
    edits = [*document_edits(text, starts, _leaves(blocks), labels=labels), Edit(0, body)]
    return Outline(starts, tuple(_sections(blocks, len(starts), title, labels)), VisibleText(text, edits))


def _sections(blocks: Sequence[Block], lines: int, title: str, labels: set[str]) -> Iterator[Section]:
    """Only headings at the top level make sections: those in quotes and lists belong to the quote or the list."""
    heads = [position for position, block in enumerate(blocks) if block.kind == "heading"]
    borders = [*heads, len(blocks)]
    if not heads or heads[0] > 0 or blocks[0].start > 0:
        yield Section((), 0, blocks[heads[0]].start if heads else lines, tuple(blocks[: borders[0]]))
    above: list[tuple[int, str]] = []
    for head, border in zip(heads, borders[1:], strict=True):
        heading = blocks[head]
        while above and above[-1][0] >= heading.level:
            above.pop()
        above.append((heading.level, plain_inline(heading.content, labels=labels)))
        path = tuple(name for _, name in above if name and name != title)
        end = blocks[border].start if border < len(blocks) else lines
        yield Section(path, heading.start, end, tuple(blocks[head:border]))


def _leaves(blocks: Sequence[Block], *, quoted: bool = False) -> Iterator[tuple[Block, bool]]:
    for block in blocks:
        if block.children:
            yield from _leaves(block.children, quoted=quoted or block.kind == "quote")
        else:
            yield block, quoted or block.kind == "quote"
