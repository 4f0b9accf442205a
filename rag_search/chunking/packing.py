"""Pieces to drafts of chunks: sections are kept apart unless they are tiny, and filled evenly up to the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from rag_search.chunking.outline import Outline
from rag_search.chunking.pieces import Piece

TINY = 16  # a sixteenth of the budget: below that a section is joined with its neighbour

MAX_INTRODUCTION = 4  # a quarter of the budget, and INTRODUCTION_PIECES pieces: more does not stay with what follows
INTRODUCTION_PIECES = 20

HeadingPath = tuple[str, ...]
RoomOf = Callable[[HeadingPath], int]


@dataclass(frozen=True, slots=True)
class Draft:
    """Neighbouring pieces that will be one chunk, and the heading path it will carry."""

    pieces: tuple[Piece, ...]
    path: HeadingPath

    @property
    def start(self) -> int:
        return self.pieces[0].start

    @property
    def end(self) -> int:
        return self.pieces[-1].end


def pack(pieces: Sequence[Piece], outline: Outline, *, room_of: RoomOf, max_tokens: int) -> list[Draft]:
    """room_of: tokens that a chunk under a heading path has for its text. The drafts partition the pieces."""
    drafts: list[Draft] = []
    for group in _groups(pieces, outline, max_tokens=max_tokens):
        path = draft_of(group, outline).path
        costs = [
            0 if piece.heading and stands_in(outline.sections[piece.section].path, path) else piece.tokens
            for piece in group
        ]
        drafts += [draft_of(chunk, outline) for chunk in _filled(group, costs, room_of(path))]
    return drafts


def draft_of(pieces: Sequence[Piece], outline: Outline) -> Draft:
    """The path is that of the last section with text, if the others stand above it, else what all have in common."""
    with_text = [piece for piece in pieces if piece.tokens and not piece.heading] or pieces
    sections = dict.fromkeys(piece.section for piece in with_text)
    return Draft(tuple(pieces), _shared([outline.sections[section].path for section in sections]))


def _shared(paths: Sequence[HeadingPath]) -> HeadingPath:
    if all(stands_in(path, paths[-1]) for path in paths):
        return paths[-1]
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return tuple(level[0] for level in levels)


def stands_in(path: HeadingPath, longer: HeadingPath) -> bool:
    return longer[: len(path)] == path


def _groups(pieces: Sequence[Piece], outline: Outline, *, max_tokens: int) -> Iterator[list[Piece]]:
    """Runs of sections that may share a chunk: a heading without text with what follows, tiny ones among themselves."""
    group: list[Piece] = []
    text, headings, above = 0, 0, ()
    for number, found in groupby(pieces, key=lambda piece: piece.section):
        section = list(found)
        path = outline.sections[number].path
        section_text = sum(piece.tokens for piece in section if not piece.heading)
        if text == 0:
            joins = headings <= max_tokens // MAX_INTRODUCTION
        elif text < max_tokens // TINY:
            below, beside = stands_in(above, path) and path != above, path[:-1] == above[:-1]
            joins = below or (beside and section_text < max_tokens // TINY)
        else:
            joins = section_text == 0 and number == len(outline.sections) - 1
        if group and not joins:
            yield group
            group, text, headings = [], 0, 0
        group += section
        text += section_text
        headings += sum(piece.tokens for piece in section if piece.heading)
        above = path if section_text or not text else above
    yield group


def _filled(pieces: Sequence[Piece], costs: Sequence[int], room: int) -> Iterator[Sequence[Piece]]:
    """Chunks of about equal length: a section of 300 tokens makes two of 150, not one of 250 and one of 50."""
    total = sum(costs)
    target = total / max(1, -(-total // room))
    first, tokens = 0, 0
    for position, (piece, cost) in enumerate(zip(pieces, costs, strict=True)):
        if tokens and cost and (tokens + cost > room or tokens + cost / 2 > target):
            border = _border(pieces, costs, first, position, at_most=room // MAX_INTRODUCTION)
            if border > first:
                yield pieces[first:border]
                first, tokens = border, sum(costs[border:position]) + piece.lead_tokens * bool(piece.repeated)
        tokens += cost
    yield pieces[first:]


def _border(pieces: Sequence[Piece], costs: Sequence[int], first: int, position: int, *, at_most: int) -> int:
    """Where a chunk ends that began at `first`, at the latest before `position`: an introduction goes on with what it
    introduces. `first` when there is nothing but introductions."""
    border, carried = position, 0
    while border > first and pieces[border - 1].glued:
        border -= 1
        carried += costs[border]
        if carried > at_most or position - border > INTRODUCTION_PIECES:
            return position
    return border
