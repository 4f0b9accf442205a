"""Markdown: CommonMark with GFM tables and front matter, and the dialects of the common site generators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_search.documents.formats.base import Block, Edit, ParsedText, decode_text
from rag_search.documents.formats.markdown.blocks import Grammar, iter_blocks
from rag_search.documents.formats.markdown.context import context_of
from rag_search.documents.formats.markdown.directives import with_open_directives
from rag_search.documents.formats.markdown.edits import document_edits
from rag_search.documents.formats.markdown.front_matter import begins_with_properties, front_matter, front_matter_text
from rag_search.documents.formats.markdown.headings import title_of, with_headings
from rag_search.documents.formats.markdown.regions import data_uris, has_components, hidden_lines, masked
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
        grammar = self._grammar(text, hidden)
        raw: list[Block] = list(iter_blocks(source, first_line=first_line, labels=labels, grammar=grammar))
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
        # programs name a page that has fields, or is all bullets, by its field or its file, not by a section of it
        has_title = "title" in fields.values or "Title" in fields.values
        is_note = (body > 0 and not has_title) or text.lstrip().startswith(("- ", "* "))
        title = _field_title(fields.values) or _heading_title(blocks, text, starts, edits, body, is_note=is_note)
        return ParsedText(title, fields.values, blocks, edits, fields.problem)

    def _grammar(self, text: str, hidden: Sequence[Edit]) -> Grammar:
        """Return the grammar of blocks: that of MDX also for Markdown that imports components and uses them."""
        if self.is_mdx or any(text.startswith("import ", edit.start) for edit in hidden):
            return "mdx"
        return "outline" if begins_with_properties(text) or has_components(text) else "commonmark"


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


def _heading_title(
    blocks: Sequence[Block], text: str, starts: Sequence[int], edits: Sequence[Edit], body: int, *, is_note: bool
) -> str:
    if not any(block.kind == "heading" for block in blocks):
        return ""
    if blocks[0].kind == "heading" and blocks[0].level == 1 and blocks[0].content:
        return blocks[0].content
    visible_chars = list(_visible_before(blocks, VisibleText(text, edits), starts))
    return title_of(blocks, visible_chars, starts, body, lowest=1 if is_note else 6)


def _visible_before(blocks: Sequence[Block], visible: VisibleText, starts: Sequence[int]) -> Iterator[int]:
    """Yield for each block how many visible characters other blocks than headings have before it."""
    bounds = [*starts, len(visible.text)]
    passed = 0
    for block in blocks:
        yield passed
        if block.kind != "heading" and passed < 10_000:
            passed += len(visible.between(bounds[block.start], bounds[block.end]).strip())
