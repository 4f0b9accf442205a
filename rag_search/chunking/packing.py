"""Pack pieces into drafts of chunks: sections stay apart unless they are tiny, and fill chunks evenly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
    """Neighbouring pieces that will be one chunk, and its heading path."""

    pieces: tuple[Piece, ...]
    path: HeadingPath

    @property
    def start(self) -> int:
        """Offset of the first character."""
        return self.pieces[0].start

    @property
    def end(self) -> int:
        """Offset after the last character."""
        return self.pieces[-1].end


def pack(pieces: Sequence[Piece], outline: Outline, *, room_of: RoomOf, max_tokens: int) -> list[Draft]:
    """Pack pieces into drafts of chunks that partition them.

    room_of: heading path to the tokens left for text.
    max_tokens: limit of a passage.
    """
    drafts: list[Draft] = []
    for group in _groups(pieces, outline, max_tokens=max_tokens):
        path = draft_of(group, outline).path
        costs = [
            0 if piece.heading and is_within(outline.sections[piece.section].path, path) else piece.tokens
            for piece in group
        ]
        drafts += [draft_of(chunk, outline) for chunk in _filled(group, costs, room_of(path))]
    return drafts


def draft_of(pieces: Sequence[Piece], outline: Outline) -> Draft:
    """Make a draft of pieces, with their heading path.

    It is that of the last section with text if that section contains the others, else their longest common prefix.
    """
    with_text = [piece for piece in pieces if piece.tokens and not piece.heading] or pieces
    sections = dict.fromkeys(piece.section for piece in with_text)
    return Draft(tuple(pieces), _shared([outline.sections[section].path for section in sections]))


def _shared(paths: Sequence[HeadingPath]) -> HeadingPath:
    if all(is_within(path, paths[-1]) for path in paths):
        return paths[-1]
    levels = takewhile(lambda level: len(set(level)) == 1, zip(*paths, strict=False))
    return tuple(level[0] for level in levels)


def is_within(path: HeadingPath, longer: HeadingPath) -> bool:
    """Return whether `longer` begins with `path`."""
    return longer[: len(path)] == path


@dataclass(slots=True)
class _Group:
    """A run of sections that may share a chunk.

    limit: tokens of a chunk. text, headings: tokens of both kinds. path: of the last section with text.
    """

    limit: int
    pieces: list[Piece] = field(default_factory=list)
    text: int = 0
    headings: int = 0
    path: HeadingPath = ()

    def joins(self, section: _SectionPieces) -> bool:
        """Return whether the next section goes into this group.

        Headings without text go with what follows, tiny sections with what is below or beside them, and a last
        section without text with what precedes it.
        """
        tiny = self.limit // TINY
        if self.text == 0:
            return self.headings <= self.limit // MAX_INTRODUCTION
        if self.text < tiny:
            below = is_within(self.path, section.path) and section.path != self.path
            beside = section.path[:-1] == self.path[:-1]
            return below or (beside and section.text < tiny)
        return section.text == 0 and section.is_last

    def add(self, section: _SectionPieces) -> None:
        """Take the section into this group."""
        self.pieces += section.pieces
        self.text += section.text
        self.headings += sum(piece.tokens for piece in section.pieces if piece.heading)
        if section.text or not self.text:
            self.path = section.path


@dataclass(frozen=True, slots=True)
class _SectionPieces:
    """The pieces of one section."""

    pieces: tuple[Piece, ...]
    path: HeadingPath
    is_last: bool

    @property
    def text(self) -> int:
        """Tokens without the heading."""
        return sum(piece.tokens for piece in self.pieces if not piece.heading)


def _groups(pieces: Sequence[Piece], outline: Outline, *, max_tokens: int) -> Iterator[list[Piece]]:
    """Yield the pieces of runs of sections that may share a chunk."""
    last = len(outline.sections) - 1
    group = _Group(max_tokens)
    for number, found in groupby(pieces, key=lambda piece: piece.section):
        section = _SectionPieces(tuple(found), outline.sections[number].path, number == last)
        if group.pieces and not group.joins(section):
            yield group.pieces
            group = _Group(max_tokens, path=group.path)
        group.add(section)
    yield group.pieces


def _filled(pieces: Sequence[Piece], costs: Sequence[int], room: int) -> Iterator[Sequence[Piece]]:
    """Yield chunks of about equal length: a section of 300 tokens makes two of 150, not one of 250 and one of 50."""
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
    """Return where a chunk that began at `first` ends, at the latest before `position`.

    An introduction stays with what it introduces, so the result is `first` if there are only introductions.
    at_most: tokens of introductions that may move to the next chunk.
    """
    border, carried = position, 0
    while border > first and pieces[border - 1].glued:
        border -= 1
        carried += costs[border]
        if carried > at_most or position - border > INTRODUCTION_PIECES:
            return position
    return border
