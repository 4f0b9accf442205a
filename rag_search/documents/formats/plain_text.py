"""Plain text: paragraphs between blank lines, every character as it is."""

from __future__ import annotations

from rag_search.documents.formats.base import Block, ParsedText, decode_text
from rag_search.text.lines import LINE_END


class PlainText:
    """Text without markup. Its title is the name of the file."""

    name = "text"
    suffixes = frozenset({".txt"})
    is_markdown = False
    is_installed = True

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16."""
        return decode_text(content)

    def parse(self, text: str) -> ParsedText:
        """Return a block for each run of lines that are not blank."""
        return ParsedText(blocks=paragraphs(text))


def paragraphs(text: str) -> list[Block]:
    """Return the runs of lines of `text` that are not blank."""
    blocks: list[Block] = []
    start = None
    lines = LINE_END.split(text)
    for number, line in enumerate([*lines, ""]):
        if line.strip() and start is None:
            start = number
        elif not line.strip() and start is not None:
            blocks.append(Block("paragraph", start, number))
            start = None
    return blocks
