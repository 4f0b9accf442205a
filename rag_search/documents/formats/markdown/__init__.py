"""Markdown: CommonMark with GFM tables and front matter, and the dialects of the common site generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rag_search.documents.formats.base import Block, Edit, ParsedText, decode_text
from rag_search.documents.formats.fields import yaml_fields
from rag_search.documents.formats.markdown.blocks import iter_blocks
from rag_search.documents.formats.markdown.edits import document_edits
from rag_search.documents.formats.markdown.front_matter import front_matter
from rag_search.documents.formats.markdown.inline import plain_inline
from rag_search.text.lines import line_of, line_starts

TITLE_WITHIN_CHARS = 64 * 1024  # a heading further down does not name the document


class Markdown:
    """Markdown in UTF-8 or UTF-16. The title is the first heading."""

    name = "markdown"
    suffixes = frozenset({".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd"})
    is_markdown = True

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16."""
        return decode_text(content)

    def parse(self, text: str) -> ParsedText:
        """Return front matter, blocks, and what a reader of the rendered page does not see."""
        starts = line_starts(text)
        front = front_matter(text)
        first_line = line_of(starts, front.end) if front.end < len(text) else len(starts)
        labels: set[str] = set()
        raw = list(iter_blocks(text, first_line=first_line, labels=labels))
        edits = [*document_edits(text, starts, raw, labels=labels), Edit(0, front.end)]
        blocks = [_with_plain_content(block, labels) for block in raw]
        last = line_of(starts, front.end + TITLE_WITHIN_CHARS)
        return ParsedText(_title(blocks, last), yaml_fields(front.yaml), blocks, edits)


def _with_plain_content(block: Block, labels: set[str]) -> Block:
    return replace(block, content=plain_inline(block.content, labels=labels)) if block.kind == "heading" else block


def _title(blocks: Sequence[Block], last_line: int) -> str:
    headings = (block.content for block in blocks if block.kind == "heading" and block.start <= last_line)
    return next(filter(None, headings), "")
