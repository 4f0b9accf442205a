"""A document to its chunks: sections by heading, blocks packed up to a token budget, exact offsets.

    text -> outline (blocks, sections, what is visible) -> pieces -> drafts -> passages -> chunks

The chunks partition the text: joined they are the document, character for character. A document with nothing but
blanks has no chunks; one with nothing visible (a comment, front matter) has one, whose passage is its title.

Cut in any other way and CHUNKING_VERSION has to change, which makes indexes cut their documents again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from rag_search.chunking.cuts import even_cuts
from rag_search.chunking.outline import Outline, read_outline
from rag_search.chunking.packing import Draft, HeadingPath, draft_of, pack, stands_in
from rag_search.chunking.passage import heads, one_line, passage_of
from rag_search.chunking.pieces import Piece, pieces_of
from rag_search.records import Chunk, CountTokens, Document
from rag_search.text.lines import line_of
from rag_search.text.sanitize import plain

CHUNKING_VERSION = 1
MIN_BUDGET = 16
HEAD_SHARE = 3  # title and heading path take at most a third of a passage
SLACK = 4  # tokens: joining pieces can make a token or two more than they had apart

Heads = Mapping[HeadingPath, tuple[str, int]]


def chunk_document(document: Document, *, count_tokens: CountTokens, max_tokens: int = 256) -> list[Chunk]:
    """The chunks of `document` in order.

    count_tokens: texts to their lengths, int64 (n,); called about four times a document, with many texts each.
    max_tokens: every passage, head included, holds at most so many, unless a single character alone has more.
    Raises ValueError when max_tokens is below MIN_BUDGET.
    """
    if max_tokens < MIN_BUDGET:
        raise ValueError(f"max_tokens is {max_tokens}; the least is {MIN_BUDGET}")
    if not plain(document.text).strip():
        return []
    outline = read_outline(document.text, document.title)
    head_of = _heads(document.title, outline, count_tokens=count_tokens, max_tokens=max_tokens)

    def room_of(path: HeadingPath) -> int:
        return max(1, max_tokens - head_of[path][1] - SLACK)

    rooms = [room_of(section.path) for section in outline.sections]
    pieces = pieces_of(outline, count_tokens=count_tokens, rooms=rooms)
    drafts = pack(pieces, outline, room_of=room_of, max_tokens=max_tokens)
    drafts = _within_budget(drafts, outline, head_of, count_tokens=count_tokens, max_tokens=max_tokens)
    return _chunks(document, _without_blank(drafts, outline), outline, head_of)


def _heads(title: str, outline: Outline, *, count_tokens: CountTokens, max_tokens: int) -> Heads:
    paths = {section.path[:depth] for section in outline.sections for depth in range(len(section.path) + 1)} | {()}
    return heads(title, sorted(paths), count_tokens=count_tokens, max_tokens=max_tokens // HEAD_SHARE)


def _within_budget(
    drafts: Sequence[Draft], outline: Outline, head_of: Heads, *, count_tokens: CountTokens, max_tokens: int
) -> list[Draft]:
    """Measure the passages themselves and halve those that are over, until none is or nothing is left to halve."""
    done: dict[int, Draft] = {}
    waiting = list(drafts)
    while waiting:
        lengths = count_tokens([_passage(draft, outline, head_of) for draft in waiting])
        halved: list[Draft] = []
        for draft, length in zip(waiting, lengths, strict=True):
            parts = _halves(draft.pieces, outline) if length > max_tokens else []
            if not parts:
                done[draft.start] = draft
            halved.extend(draft_of(part, outline) for part in parts)
        waiting = halved
    return [done[start] for start in sorted(done)]


def _halves(pieces: Sequence[Piece], outline: Outline) -> list[Sequence[Piece]]:
    """Two runs of pieces with about half of the tokens each, or [] when there is one piece that cannot be cut."""
    if len(pieces) > 1:
        half, passed, middle = sum(piece.tokens for piece in pieces) / 2, 0, 1
        while middle < len(pieces) - 1 and passed + pieces[middle - 1].tokens < half:
            passed += pieces[middle - 1].tokens
            middle += 1
        return [pieces[:middle], pieces[middle:]]
    piece = pieces[0]
    cuts = even_cuts(outline.visible, piece.start, piece.end, parts=2)
    borders = pairwise([piece.start, *cuts, piece.end])
    return [[replace(piece, start=start, end=end, tokens=piece.tokens // 2)] for start, end in borders] if cuts else []


def _without_blank(drafts: Sequence[Draft], outline: Outline) -> list[Draft]:
    """A draft that shows nothing goes to the one before it, at the start to the one after it."""
    merged: list[Draft] = []
    for draft in drafts:
        if merged and not (_shows(merged[-1], outline) and _shows(draft, outline)):
            path = draft.path if _shows(draft, outline) else merged[-1].path
            merged[-1] = Draft((*merged[-1].pieces, *draft.pieces), path)
        else:
            merged.append(draft)
    return merged


def _shows(draft: Draft, outline: Outline) -> bool:
    return bool(plain(outline.visible.between(draft.start, draft.end)).strip())


def _passage(draft: Draft, outline: Outline, head_of: Heads) -> str:
    """Headings that the head shows in full are not repeated in the text."""
    head, _ = head_of[draft.path]
    lead = draft.pieces[0].repeated
    shown = [f"{lead}\n"] if lead else []
    for piece in draft.pieces:
        path = outline.sections[piece.section].path
        in_head = piece.heading and stands_in(path, draft.path) and (not path or one_line(path[-1]) in head)
        if not in_head:
            shown.append(outline.visible.between(piece.start, piece.end))
    return passage_of(head, "".join(shown))


def _chunks(document: Document, drafts: Sequence[Draft], outline: Outline, head_of: Heads) -> list[Chunk]:
    return [
        Chunk(
            path=document.path,
            title=document.title,
            ordinal=ordinal,
            text=(text := document.text[draft.start : draft.end]),
            heading_path=draft.path,
            start=draft.start,
            end=draft.end,
            line_start=line_of(outline.line_starts, draft.start + len(text) - len(text.lstrip())) + 1,
            line_end=line_of(outline.line_starts, draft.start + len(text.rstrip()) - 1) + 1,
            passage=_passage(draft, outline, head_of),
        )
        for ordinal, draft in enumerate(drafts)
    ]
