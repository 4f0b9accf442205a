"""Open MyST directives whose body is Markdown: ```{note} Title ... ``` is a box, not code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from rag_search.documents.formats.base import Block
from rag_search.documents.formats.markdown.blocks import iter_blocks
from rag_search.documents.formats.markdown.whole_lines import BOXES

_OPENING = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})\{([\w:.-]+)\}[ \t]*(.*)")
_WITH_BODY = BOXES | {
    "card",
    "dropdown",
    "figure",
    "grid",
    "grid-item",
    "grid-item-card",
    "tab-item",
    "tab-set",
    "topic",
}
_OPTION = re.compile(r"[ \t]*:[\w-]+:")
MAX_DEPTH = 6


def with_open_directives(blocks: Sequence[Block], lines: Sequence[str], *, depth: int = MAX_DEPTH) -> list[Block]:
    """Return the blocks with such fences as boxes. lines: of the whole text."""
    found: list[Block] = []
    for block in blocks:
        opening = _OPENING.match(lines[block.start]) if block.kind == "fence" and depth else None
        if opening and (opening[2] in _WITH_BODY or opening[2].startswith("prf:")) and block.end - block.start > 2:
            found.append(_box(block, lines, depth))
        else:
            found.append(block)
    return found


def _box(block: Block, lines: Sequence[str], depth: int) -> Block:
    first, last = block.start + 1, block.end - 1 if lines[block.end - 1].strip(" \t`~") == "" else block.end
    while first < last and _OPTION.match(lines[first]):
        first += 1
    inner = [_moved(child, first) for child in iter_blocks("\n".join(lines[first:last]))]
    hidden = [Block("definition", line, line + 1) for line in range(block.start + 1, first)]
    closing = [Block("definition", last, block.end)] if last < block.end else []
    head = Block("paragraph", block.start, block.start + 1)
    children = [head, *hidden, *with_open_directives(inner, lines, depth=depth - 1), *closing]
    return Block("box", block.start, block.end, children=children)


def _moved(block: Block, lines: int) -> Block:
    children = [_moved(child, lines) for child in block.children]
    return replace(block, start=block.start + lines, end=block.end + lines, children=children)
