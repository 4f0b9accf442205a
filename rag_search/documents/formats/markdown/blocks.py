"""The block structure of a Markdown text: markdown-it-py's block rules, without its inline parser.

Differences from `MarkdownIt().parse`, each because a hostile or merely huge file made the original slow or fat:
the inline parser never runs; a table is one block (the original makes three tokens a cell); tokens are turned into
blocks one top-level block at a time; link definitions may span DEFINITION_LINES lines; containers nest MAX_NESTING
deep, and what is deeper is plain text of its container; a text of more than MAX_LINES lines is cut at blank lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.reference import reference
from markdown_it.rules_block.table import table
from markdown_it.token import Token

from rag_search.documents.formats.base import Block
from rag_search.documents.formats.markdown.rules import (
    admonition,
    cjk_heading,
    jsx_tags,
    long_shortcode,
    loose_paragraph,
)
from rag_search.text.lines import LINE_END

MAX_NESTING = 40  # a list takes two; deeper than anything people write, shallow enough for recursion
MAX_LINES = 2_000_000
DEFINITION_LINES = 50

Grammar = Literal["commonmark", "outline", "mdx"]

_KINDS = {
    "heading_open": "heading",
    "paragraph_open": "paragraph",
    "fence": "fence",
    "code_block": "code",
    "table": "table",
    "bullet_list_open": "list",
    "ordered_list_open": "list",
    "list_item_open": "item",
    "blockquote_open": "quote",
    "html_block": "html",
    "hr": "rule",
    "admonition_open": "box",
}


def iter_blocks(
    text: str, *, first_line: int = 0, labels: set[str] | None = None, grammar: Grammar = "commonmark"
) -> Iterator[Block]:
    """Yield the top-level blocks in order, from `first_line` on. Blank lines between blocks are in none of them.

    The content of a heading still has its inline marks.
    labels: filled with the names of link definitions, normalised as in `label_key`.
    grammar: in "outline" and "mdx" an indent does not make code; in "mdx" lines of tags have Markdown between them.
    """
    source = LINE_END.sub("\n", text).replace("\0", "\ufffd")
    if source.count("\n") > MAX_LINES:
        yield from _paragraphs_only(source, first_line)
        return
    parser = _parser(grammar, has_shortcodes="{{<" in source or "{{%" in source)
    state = StateBlock(source, parser, {}, [])
    rules = parser.block.ruler.getRules("")
    line = first_line
    while (line := state.skipEmptyLines(line)) < state.lineMax:
        state.line = line
        next(rule for rule in rules if rule(state, line, state.lineMax, False))
        yield from _tree(state.tokens) if state.tokens else [Block("definition", line, state.line)]
        state.tokens.clear()
        line = state.line
        if labels is not None and state.env.get("references"):
            labels.update(label_key(label) for label in state.env.pop("references"))


def label_key(label: str) -> str:
    """Return the form of a link label in which equal labels are equal."""
    return " ".join(label.split()).casefold()


@cache
def _parser(grammar: Grammar, *, has_shortcodes: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING, "html": True})
    parser.enable("table")
    parser.block.ruler.at("table", _whole_table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.at("reference", _short_reference)
    interrupting: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    parser.block.ruler.before("fence", "admonition", admonition, interrupting)
    parser.block.ruler.before("heading", "cjk_heading", cjk_heading)
    if has_shortcodes:  # each rule that may interrupt a paragraph is asked at each of its lines
        parser.block.ruler.before("blockquote", "shortcode", long_shortcode, interrupting)
    if grammar != "commonmark":
        parser.disable("code")
        parser.block.ruler.at("paragraph", loose_paragraph)
    if grammar == "mdx":
        parser.block.ruler.at("html_block", jsx_tags, interrupting)
    return parser


def _whole_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # the signature of a markdown-it rule
    """Parse a GFM table as one token: the original rule decides whether a table begins, this one finds its end."""
    if not table(state, start, end, True):
        return False
    if silent:
        return True
    terminators = state.md.block.ruler.getRules("blockquote")
    line = start + 2
    while line < end and not state.isEmpty(line) and state.sCount[line] >= state.blkIndent:
        if state.src.startswith(":::", state.bMarks[line] + state.tShift[line]):
            break  # the end of a MyST directive or a container
        if state.is_code_block(line) or any(rule(state, line, end, True) for rule in terminators):
            break
        line += 1
    state.push("table", "table", 0).map = [start, line]
    state.line = line
    return True


def _short_reference(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a link definition within DEFINITION_LINES lines. A footnote (`[^1]: text`) is not one.

    The original joins the lines of a title one by one: quadratic time when the title never ends.
    """
    if state.src.startswith("[^", state.bMarks[start] + state.tShift[start]):
        return False
    whole, state.lineMax = state.lineMax, min(state.lineMax, start + DEFINITION_LINES)
    try:
        return reference(state, start, end, silent)
    finally:
        state.lineMax = whole


def _tree(tokens: Sequence[Token]) -> list[Block]:
    """Turn flat tokens into nested blocks; paragraphs and headings lose their inner tokens, tight or not."""
    top: list[Block] = []
    open_blocks: list[list[Block]] = [top]
    for position, token in enumerate(tokens):
        if token.nesting < 0:
            open_blocks.pop()
        elif token.type in _KINDS and token.map:
            kind = _KINDS[token.type]
            level, content = (int(token.tag[1]), tokens[position + 1].content) if kind == "heading" else (0, "")
            block = Block(kind, token.map[0], token.map[1], level, content)
            open_blocks[-1].append(block)
            if token.nesting > 0:
                open_blocks.append(block.children)
    return top


def _paragraphs_only(source: str, first_line: int) -> Iterator[Block]:
    line = 0
    for piece in re.split(r"(\n[ \t]*(?=\n))", source):
        lines = piece.count("\n")
        if piece.strip() and line + lines >= first_line:
            start = line + (1 if piece.startswith("\n") else 0)
            yield Block("paragraph", max(start, first_line), line + lines + 1)
        line += lines
