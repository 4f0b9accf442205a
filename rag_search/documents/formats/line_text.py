"""Help formats that are read line by line: collect blocks and edits."""

from __future__ import annotations

import re

from rag_search.documents.formats.base import Block, Edit
from rag_search.text.lines import line_starts

WORDS = r"(?=\S)([^ \t\n]++(?:[ \t]++[^ \t\n]++)*?)"  # a group of words, as few as the rest allows, in linear time


class LineText:
    """A text as lines, and the blocks and edits found in it so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bounds = [*line_starts(text), len(text)]
        self.lines = [text[start:end].rstrip("\r\n") for start, end in zip(self.bounds, self.bounds[1:], strict=False)]
        self.blocks: list[Block] = []
        self.edits: list[Edit] = []

    def add(self, kind: str, first: int, last: int) -> None:
        """Add a block of the lines [first, last)."""
        if first < last:
            self.blocks.append(Block(kind, first, last))

    def add_heading(self, first: int, last: int, level: int, content: str) -> None:
        """Add a heading; one without text is a paragraph."""
        kind = "heading" if content else "paragraph"
        self.blocks.append(Block(kind, first, last, level if content else 0, content))

    def hide(self, first: int, last: int) -> None:
        """Hide the lines [first, last), their line ends included."""
        if first < last:
            self.edits.append(Edit(self.bounds[first], self.bounds[last]))

    def replace(self, line: int, start: int, end: int, shown: str = "") -> None:
        """Show `shown` for the columns [start, end) of a line."""
        self.edits.append(Edit(self.bounds[line] + start, self.bounds[line] + end, shown))

    def hide_marks(self, marks: re.Pattern[str], first: int, last: int) -> None:
        """Hide what `marks` matches in the lines [first, last), but for the text in the group that matched."""
        self.hide_marks_between(marks, self.bounds[first], self.bounds[last])

    def hide_marks_between(self, marks: re.Pattern[str], start: int, end: int) -> None:
        """Do the same between two offsets."""
        for match in marks.finditer(self.text, start, end):
            if match.lastgroup is None:
                self.edits.append(Edit(*match.span()))
            else:
                self.edits.append(Edit(match.start(), match.start(match.lastgroup)))
                self.edits.append(Edit(match.end(match.lastgroup), match.end()))

    def indent(self, line: int) -> int:
        """Return the number of blanks before the text of a line; many for an empty line."""
        content = self.lines[line]
        return len(content) - len(content.lstrip(" \t")) if content.strip() else 1_000

    def end_of_indented(self, first: int, indent: int) -> int:
        """Return the line after the last line from `first` on that is blank or indented by at least `indent`."""
        line = last = first
        while line < len(self.lines) and self.indent(line) >= indent:
            line += 1
            if self.lines[line - 1].strip():
                last = line
        return last


def shown(text: str, marks: re.Pattern[str]) -> str:
    """Return a line without what `marks` matches, but for the text in the group that matched."""
    return " ".join(marks.sub(lambda match: match[match.lastgroup] if match.lastgroup else "", text).split())
