"""Pieces to drafts of chunks: sections are kept apart unless they are tiny, and filled evenly up to the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rag_search.chunking.outline import Outline
from rag_search.chunking.pieces import Piece

TINY = 16  # a sixteenth of the budget: below that a section is joined with its neighbour

Path = tuple[str, ...]
RoomOf = Callable[[Path], int]


@dataclass(frozen=True, slots=True)
class Draft:
    """Neighbouring pieces that will be one chunk, and the heading path it will carry."""

    pieces: tuple[Piece, ...]
    path: Path

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
    paths = list(dict.fromkeys(outline.sections[piece.section].path for piece in with_text))
    if all(stands_in(path, paths[-1]) for path in paths):
        return Draft(tuple(pieces), paths[-1])
    return Draft(tuple(pieces), _common(paths))


def stands_in(path: Path, longer: Path) -> bool:
    return longer[: len(path)] == path


def _common(paths: Sequence[Path]) -> Path:
    shortest, longest = min(paths), max(paths)
    same = 0
    while same < len(shortest) and same < len(longest) and shortest[same] == longest[same]:
        same += 1
    return shortest[:same]


def _groups(pieces: Sequence[Piece], outline: Outline, *, max_tokens: int) -> Iterator[list[Piece]]:
    """Runs of sections that may share a chunk: a heading without text with what follows, tiny ones among themselves."""
    group: list[Piece] = []
    for _, found in groupby(pieces, key=lambda piece: piece.section):
        section = list(found)
        if group and not _joins(group, section, outline, max_tokens=max_tokens):
            yield group
            group = []
        group += section
    if group:
        yield group


def _joins(group: Sequence[Piece], section: Sequence[Piece], outline: Outline, *, max_tokens: int) -> bool:
    text = _text_tokens(group)
    if text == 0:
        return sum(piece.tokens for piece in group) <= max_tokens // 4
    if text >= max_tokens // TINY:
        return _text_tokens(section) == 0 and _is_last(section, outline)
    above, path = draft_of(group, outline).path, outline.sections[section[0].section].path
    if path[: len(above)] == above and len(path) > len(above):
        return True
    return path[:-1] == above[:-1] and _text_tokens(section) < max_tokens // TINY


def _text_tokens(pieces: Sequence[Piece]) -> int:
    return sum(piece.tokens for piece in pieces if not piece.heading)


def _is_last(section: Sequence[Piece], outline: Outline) -> bool:
    return section[0].section == len(outline.sections) - 1


def _filled(pieces: Sequence[Piece], costs: Sequence[int], room: int) -> Iterator[Sequence[Piece]]:
    """Chunks of about equal length: a section of 300 tokens makes two of 150, not one of 250 and one of 50."""
    total = sum(costs)
    target = total / max(1, -(-total // room))
    first, tokens = 0, 0
    for position, (piece, cost) in enumerate(zip(pieces, costs, strict=True)):
        if tokens and cost and (tokens + cost > room or tokens + cost / 2 > target):
            border = _border(pieces, first, position)
            if border > first:
                yield pieces[first:border]
                first, tokens = border, sum(costs[border:position]) + piece.lead_tokens * bool(piece.repeated)
        tokens += cost
    yield pieces[first:]


def _border(pieces: Sequence[Piece], first: int, position: int) -> int:
    """Where to end a chunk that began at `first`, at the latest before `position`: an introduction goes on with what
    it introduces. `first` when there is nothing but introductions."""
    while position > first and pieces[position - 1].glued:
        position -= 1
    return position
