"""Divide sections into pieces: the smallest parts of a text, which packing never cuts.

A block that fits the budget is one piece. A larger list, quote or item gives the pieces of its children, a fence its
lines, a table its rows, a paragraph its sentences; a sentence or line that is still too long is cut at blanks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from rag_search.chunking.cuts import even_cuts
from rag_search.chunking.outline import Outline
from rag_search.documents.formats import Block
from rag_search.documents.formats.visible import VisibleText
from rag_search.records import CountTokens
from rag_search.text.sentences import SENTENCE_END

LEAD_CHARS = 200
_LINE_KINDS = frozenset({"fence", "code", "html", "table"})


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters [start, end) of the document.

    section: index into Outline.sections.
    tokens: length of the visible text (an estimate for cut sentences).
    heading: the piece is the heading of its section.
    glued: the piece introduces the next one (a heading, `Do this:`).
    lead: the first line of its fence or table, which a chunk repeats if it begins with this piece.
    lead_from: offset from which a piece needs the lead.
    lead_tokens: length of the lead.
    """

    start: int
    end: int
    section: int
    tokens: int = 0
    heading: bool = False
    glued: bool = False
    lead: str = ""
    lead_from: int = 0
    lead_tokens: int = 0

    @property
    def repeated(self) -> str:
        """The line to repeat above a chunk that begins with this piece, "" if none is needed."""
        return self.lead if self.start >= self.lead_from else ""


class _Span(NamedTuple):
    """A block, and the lines [start, end) of it and of the blank lines up to the next block."""

    block: Block
    start: int
    end: int
    section: int
    glued: bool = False


def pieces_of(outline: Outline, *, count_tokens: CountTokens, rooms: Sequence[int]) -> list[Piece]:
    """Return the pieces of a document in order; they partition its text.

    count_tokens: called twice, with many texts each.
    rooms: for every section, the tokens that a chunk has for text.
    """
    spans = list(_sections(outline))
    leaves = [leaf for span in spans for leaf in _leaves(span)]
    sizes = dict(zip((leaf.start for leaf in leaves), _count(leaves, outline, count_tokens), strict=True))
    pieces = [
        part
        for span in spans
        for fitting in _fitting(span, sizes, rooms[span.section])
        for part in _parts(fitting, outline, tokens=_size(fitting, sizes), max_tokens=rooms[span.section])
    ]
    pieces = _sized(pieces, outline.visible, count_tokens=count_tokens, max_tokens=min(rooms))
    return [short for piece in pieces for short in _short(piece, outline.visible, rooms[piece.section])]


def _sections(outline: Outline) -> Iterator[_Span]:
    for number, section in enumerate(outline.sections):
        blocks = section.blocks or (Block("paragraph", section.start, section.end),)
        yield from _spans(blocks, section.start, section.end, section=number)


def _spans(blocks: Sequence[Block], start: int, end: int, *, section: int) -> Iterator[_Span]:
    """Divide lines [start, end) among `blocks`: each reaches to the next, the first begins at `start`."""
    borders = [start, *(block.start for block in blocks[1:]), end]
    for block, (first, last) in zip(blocks, pairwise(borders), strict=True):
        yield _Span(block, first, last, section)


def _children(span: _Span) -> Iterator[_Span]:
    return _spans(span.block.children, span.start, span.end, section=span.section)


def _leaves(span: _Span) -> Iterator[_Span]:
    if not span.block.children:
        yield span
    for child in _children(span) if span.block.children else ():
        yield from _leaves(child)


def _fitting(span: _Span, sizes: Mapping[int, int], max_tokens: int) -> Iterator[_Span]:
    """Yield the span itself if it fits or has no children, else those of its children."""
    if not span.block.children or _size(span, sizes) <= max_tokens:
        yield span
        return
    for child in _children(span):
        yield from _fitting(child, sizes, max_tokens)


def _size(span: _Span, sizes: Mapping[int, int]) -> int:
    return sum(sizes[leaf.start] for leaf in _leaves(span))


def _count(leaves: Sequence[_Span], outline: Outline, count_tokens: CountTokens) -> list[int]:
    texts = [outline.visible.between(*_offsets(leaf, outline)) for leaf in leaves]
    return [int(length) for length in count_tokens(texts)]


def _offsets(span: _Span, outline: Outline) -> tuple[int, int]:
    starts = outline.line_starts
    return starts[span.start], starts[span.end] if span.end < len(starts) else len(outline.visible.text)


def _parts(span: _Span, outline: Outline, *, tokens: int, max_tokens: int) -> Iterator[Piece]:
    """Yield one piece, or a piece for every line or sentence of a block that is too long."""
    start, end = _offsets(span, outline)
    block, visible = span.block, outline.visible
    heading = block.kind == "heading" and block is outline.sections[span.section].blocks[0]
    whole = Piece(start, end, span.section, tokens=tokens, heading=heading)
    if block.kind in ("fence", "table"):
        first = _offsets(span._replace(end=block.start + 1), outline)
        whole = replace(whole, lead=visible.between(*first).strip()[:LEAD_CHARS], lead_from=first[1])
    if tokens <= max_tokens:
        glued = heading or visible.between(start, end).rstrip().endswith((":", "："))
        yield replace(whole, glued=True) if glued else whole
        return
    cuts = _line_cuts(span, outline) if block.kind in _LINE_KINDS else _sentence_cuts(visible, start, end)
    for part_start, part_end in pairwise([start, *cuts, end]):
        yield replace(whole, start=part_start, end=part_end, tokens=-1)


def _line_cuts(span: _Span, outline: Outline) -> list[int]:
    """Return a cut at every line of the block; in a table the first one is after the rule below its head."""
    ahead = 2 if span.block.kind == "table" else 1
    starts = outline.line_starts[span.block.start + ahead : span.block.end]
    return [cut for cut in starts if outline.visible.outside_edits(cut) == cut]


def _sentence_cuts(visible: VisibleText, start: int, end: int) -> list[int]:
    ends = (match.end() for match in SENTENCE_END.finditer(visible.text, start, end))
    return [cut for cut in ends if cut < end and visible.outside_edits(cut) == cut]


def _sized(pieces: Sequence[Piece], visible: VisibleText, *, count_tokens: CountTokens, max_tokens: int) -> list[Piece]:
    """Fill in lengths that are still open (-1), and drop leads that take too much of the budget."""
    texts = [visible.between(piece.start, piece.end) for piece in pieces if piece.tokens < 0]
    leads = list(dict.fromkeys(piece.lead for piece in pieces if piece.lead))
    lengths = iter(count_tokens([*texts, *leads]).tolist() if texts or leads else [])
    sized = [replace(piece, tokens=next(lengths)) if piece.tokens < 0 else piece for piece in pieces]
    lead_tokens = {lead: length for lead, length in zip(leads, lengths, strict=True) if length <= max_tokens // 4}
    return [_with_lead(piece, lead_tokens) if piece.lead else piece for piece in sized]


def _with_lead(piece: Piece, lead_tokens: Mapping[str, int]) -> Piece:
    lead = piece.lead if piece.lead in lead_tokens else ""
    return replace(piece, lead=lead, lead_tokens=lead_tokens.get(piece.lead, 0))


def _short(piece: Piece, visible: VisibleText, max_tokens: int) -> Iterator[Piece]:
    """Yield the piece, cut evenly if it is too long. The final check of passages corrects a wrong estimate."""
    room = max(1, max_tokens - piece.lead_tokens)
    if piece.tokens <= room:
        yield piece
        return
    parts = -(-piece.tokens * 11 // (room * 10))
    cuts = even_cuts(visible, piece.start, piece.end, parts=parts)
    for start, end in pairwise([piece.start, *cuts, piece.end]):
        yield replace(piece, start=start, end=end, tokens=piece.tokens // (len(cuts) + 1))
