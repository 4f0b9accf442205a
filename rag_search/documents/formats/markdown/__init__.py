"""Markdown: CommonMark with GFM tables and front matter, and the dialects of the common site generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_search.documents.formats.base import Block, Edit, ParsedText, decode_text
from rag_search.documents.formats.markdown.blocks import iter_blocks
from rag_search.documents.formats.markdown.context import context_of
from rag_search.documents.formats.markdown.directives import with_open_directives
from rag_search.documents.formats.markdown.edits import document_edits
from rag_search.documents.formats.markdown.front_matter import front_matter, front_matter_text
from rag_search.documents.formats.markdown.headings import title_of, with_headings
from rag_search.documents.formats.markdown.regions import data_uris, hidden_lines, masked
from rag_search.documents.formats.visible import VisibleText
from rag_search.text.lines import LINE_END, line_of, line_starts

_SUFFIXES = ".md .markdown .mdown .mkd .mkdn .mdwn .mdtxt .mdtext .mdc .livemd .qmd .rmd .rmarkdown"


class Markdown:
    """Markdown in UTF-8 or UTF-16, of any dialect whose marks do not contradict the others."""

    name = "markdown"
    suffixes = frozenset(_SUFFIXES.split())
    is_markdown = True
    is_installed = True
    is_mdx = False

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16."""
        return decode_text(content)

    def parse(self, text: str) -> ParsedText:
        """Return front matter, blocks, and what a reader of the rendered page does not see."""
        starts = line_starts(text)
        fields, body = front_matter(text)
        first_line = line_of(starts, body) if body < len(text) else len(starts)
        hidden = hidden_lines(text, starts, first_line, is_mdx=self.is_mdx)
        source = masked(text, hidden) if hidden else text
        labels: set[str] = set()
        raw: list[Block] = list(iter_blocks(source, first_line=first_line, labels=labels))
        if "{" in source:
            raw = with_open_directives(raw, LINE_END.split(source))
        context = context_of(text, labels, is_mdx=self.is_mdx)
        blocks = with_headings(raw, text, starts, context)
        edits = [
            *document_edits(text, starts, blocks, context=context),
            *hidden,
            *data_uris(text),
            Edit(0, body, front_matter_text(fields.values)),
        ]
        title = _field_title(fields.values) or _heading_title(blocks, text, starts, edits, body)
        return ParsedText(title, fields.values, blocks, edits, fields.problem)


class Mdx(Markdown):
    """Markdown with components: module code and expressions are hidden."""

    name = "mdx"
    suffixes = frozenset({".mdx"})
    is_mdx = True


def _field_title(values: Mapping[str, Any]) -> str:
    """Return the field `title` without the backticks that some generators read as code."""
    title = next((values[key] for key in ("title", "Title") if key in values), None)
    if isinstance(title, bool) or not isinstance(title, str | int | float):
        return ""
    return str(title).replace("`", "").strip()


def _heading_title(blocks: Sequence[Block], text: str, starts: Sequence[int], edits: Sequence[Edit], body: int) -> str:
    if not any(block.kind == "heading" for block in blocks):
        return ""
    return title_of(blocks, list(_visible_before(blocks, VisibleText(text, edits), starts)), starts, body)


def _visible_before(blocks: Sequence[Block], visible: VisibleText, starts: Sequence[int]) -> Iterator[int]:
    """Yield for each block how many visible characters other blocks than headings have before it."""
    bounds = [*starts, len(visible.text)]
    passed = 0
    for block in blocks:
        yield passed
        if block.kind != "heading" and passed < 10_000:
            passed += len(visible.between(bounds[block.start], bounds[block.end]).strip())
