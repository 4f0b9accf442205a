"""The text of a document as a reader sees it, addressed by offsets into the text as it is stored."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from rag_search.documents.formats.base import Edit
from rag_search.text.lines import LINE_END


class VisibleText:
    """A text and its edits: `between(a, b)` is what a reader sees of text[a:b].

    An edit counts where it starts. Of two edits that overlap, the one that starts first stays.
    """

    def __init__(self, text: str, edits: Iterable[Edit]) -> None:
        self.text = text
        self.edits = _disjoint(edits)
        self._starts = [edit.start for edit in self.edits]
        self._ends = [edit.end for edit in self.edits]

    def between(self, start: int, end: int) -> str:
        """Return what a reader sees of text[start:end]."""
        if not self._overlapping(start, end):
            return self.text[start:end]
        return "".join([shown for _, shown, _ in self.stretches(start, end)])

    def lines(self, start: int, end: int) -> Iterator[tuple[str, int]]:
        """Yield the lines of `between(start, end)`, each with the offset of the first thing in it that is not blank."""
        parts: list[str] = []
        first = -1
        for offset, shown, is_kept in self.stretches(start, end):
            if "\n" not in shown and "\r" not in shown:
                parts.append(shown)
                if first < 0 and (bare := shown.lstrip()):
                    first = offset + (len(shown) - len(bare)) * is_kept
                continue
            position = 0
            for line_end in [*LINE_END.finditer(shown), None]:
                part = shown[position : line_end.start()] if line_end else shown[position:]
                parts.append(part)
                if first < 0 and part.strip():
                    first = offset + (position + len(part) - len(part.lstrip())) * is_kept
                if line_end:
                    blank = offset + line_end.start() * is_kept
                    yield "".join(parts), first if first >= 0 else blank
                    parts, first, position = [], -1, line_end.end()
        yield "".join(parts), first if first >= 0 else max(start, end - 1)

    def stretches(self, start: int, end: int) -> Iterator[tuple[int, str, bool]]:
        """Yield what a reader sees of [start, end): offset, text, and whether the text is the stored one."""
        position = start
        for edit in self._overlapping(start, end):
            if position < edit.start:
                yield position, self.text[position : edit.start], True
            if edit.start >= start and edit.text:
                yield edit.start, edit.text, False
            position = edit.end
        if position < end:
            yield position, self.text[position:end], True

    def outside_edits(self, offset: int) -> int:
        """Return `offset`, or the end of the edit that a cut there would split."""
        before = bisect_left(self._starts, offset) - 1
        return max(offset, self._ends[before]) if before >= 0 else offset

    def _overlapping(self, start: int, end: int) -> Sequence[Edit]:
        return self.edits[bisect_right(self._ends, start) : bisect_left(self._starts, end)]


def _disjoint(edits: Iterable[Edit]) -> list[Edit]:
    """Sort the edits and drop those that overlap an earlier one; at one place the longest stays."""
    kept: list[Edit] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= position and edit.end > edit.start:
            kept.append(edit)
            position = edit.end
    return kept
