"""Divide a document into chunks: sections by heading, blocks packed up to a token budget, exact offsets.

    parsed text -> outline (sections, visible text) -> pieces -> drafts -> passages -> chunks

The chunks partition the text: joined they are the document, character for character. A document with nothing but
blanks has no chunks; one with nothing visible (a comment, front matter) has one, whose passage is its title.

A change of the chunks needs a new CHUNKING_VERSION, which makes indexes cut their documents again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from rag_search.chunking.cuts import even_cuts
from rag_search.chunking.outline import Outline, outline_of
from rag_search.chunking.packing import Draft, HeadingPath, draft_of, is_within, pack
from rag_search.chunking.passage import Passage, heads, passage_of
from rag_search.chunking.pieces import Piece, pieces_of
from rag_search.documents.formats import ParsedText, format_named
from rag_search.records import Chunk, CountTokens, Document
from rag_search.text.lines import line_of
from rag_search.text.passages import Line, one_line
from rag_search.text.sanitize import plain

CHUNKING_VERSION = 5
MIN_BUDGET = 16
HEAD_SHARE = 3  # title and heading path take at most a third of a passage
SLACK = 4  # tokens: joining pieces can make a token or two more than they had apart

Heads = Mapping[HeadingPath, tuple[str, int]]


def chunk_document(
    document: Document, *, count_tokens: CountTokens, max_tokens: int = 256, parsed: ParsedText | None = None
) -> list[Chunk]:
    """Return the chunks of `document` in order.

    count_tokens: texts to their lengths, int64 (n,); called about four times a document, with many texts each.
    max_tokens: limit of every passage, head included, unless a single character alone has more.
    parsed: the structure of the document's text, if it is known already.

    Raises:
        ValueError: `max_tokens` is below MIN_BUDGET.
    """
    if max_tokens < MIN_BUDGET:
        raise ValueError(f"max_tokens is {max_tokens}; the least is {MIN_BUDGET}")
    if not _has_text(document.text):
        return []
    parsed = parsed or format_named(document.format).parse(document.text)
    outline = outline_of(parsed, document.text, document.title)
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
    """Cut in half the drafts whose passage is over the limit, until none is or none can be cut."""
    done: dict[int, Draft] = {}
    waiting = list(drafts)
    while waiting:
        lengths = count_tokens([_passage(draft, outline, head_of).text for draft in waiting])
        halved: list[Draft] = []
        for draft, length in zip(waiting, lengths, strict=True):
            parts = _halves(draft.pieces, outline) if length > max_tokens else []
            if not parts:
                done[draft.start] = draft
            halved.extend(draft_of(part, outline) for part in parts)
        waiting = halved
    return [done[start] for start in sorted(done)]


def _halves(pieces: Sequence[Piece], outline: Outline) -> list[Sequence[Piece]]:
    """Return two runs of pieces with about half of the tokens each, or [] for one piece that cannot be cut."""
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
    """Join a draft that shows nothing with the one before it, at the start with the one after it."""
    merged: list[Draft] = []
    for draft in drafts:
        if merged and not (_shows(merged[-1], outline) and _shows(draft, outline)):
            path = draft.path if _shows(draft, outline) else merged[-1].path
            merged[-1] = Draft((*merged[-1].pieces, *draft.pieces), path)
        else:
            merged.append(draft)
    return merged


def _shows(draft: Draft, outline: Outline) -> bool:
    return _has_text(outline.visible.between(draft.start, draft.end))


def _has_text(text: str) -> bool:
    """Return whether anything of `text` is shown; its beginning tells nearly always."""
    return bool(plain(text[:200]).strip() or plain(text).strip())


def _passage(draft: Draft, outline: Outline, head_of: Heads) -> Passage:
    """Make the passage of a draft. Headings that the head shows in full are not repeated in the text."""
    head, _ = head_of[draft.path]
    first = draft.pieces[0]
    lines = [(first.repeated, line_of(outline.line_starts, first.lead_from - 1) + 1)] if first.repeated else []
    shown = [piece for piece in draft.pieces if not _is_in_head(piece, draft.path, outline, head)]
    return passage_of(head, [*lines, *_visible_lines(shown, outline)])


def _is_in_head(piece: Piece, draft_path: HeadingPath, outline: Outline, head: str) -> bool:
    path = outline.sections[piece.section].path
    return piece.heading and is_within(path, draft_path) and (not path or one_line(path[-1]) in head)


def _visible_lines(pieces: Sequence[Piece], outline: Outline) -> list[Line]:
    """Return the visible lines of pieces laid end to end, each with its 1-based line in the document."""
    lines: list[Line] = []
    for start, end in _runs(pieces):
        found = [(text, line_of(outline.line_starts, offset) + 1) for text, offset in outline.visible.lines(start, end)]
        if lines:  # the run before ends within a line, or with an empty one
            text, line = lines.pop()
            found[0] = (text + found[0][0], line if text else found[0][1])
        lines += found
    return lines


def _runs(pieces: Sequence[Piece]) -> Iterator[tuple[int, int]]:
    """Yield the stretches of text that neighbouring pieces form."""
    start = end = -1
    for piece in pieces:
        if piece.start != end:
            if end >= 0:
                yield start, end
            start = piece.start
        end = piece.end
    if end >= 0:
        yield start, end


def _chunks(document: Document, drafts: Sequence[Draft], outline: Outline, head_of: Heads) -> list[Chunk]:
    chunks = []
    for ordinal, draft in enumerate(drafts):
        text = document.text[draft.start : draft.end]
        passage = _passage(draft, outline, head_of)
        chunks.append(
            Chunk(
                path=document.path,
                title=document.title,
                ordinal=ordinal,
                text=text,
                heading_path=draft.path,
                start=draft.start,
                end=draft.end,
                line_start=line_of(outline.line_starts, draft.start + len(text) - len(text.lstrip())) + 1,
                line_end=line_of(outline.line_starts, draft.start + len(text.rstrip()) - 1) + 1,
                passage=passage.text,
                passage_lines=passage.lines,
            )
        )
    return chunks
