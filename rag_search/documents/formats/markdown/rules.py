"""Block rules that CommonMark does not have: indented admonitions and tabs, CJK headings, JSX."""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock
from markdown_it.rules_block.html_block import html_block

from rag_search.documents.formats.markdown.tags import JSX, TAG
from rag_search.text.scripts import CJK

BODY_INDENT = 4
MAX_SHORTCODE_LINES = 30

_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]+[\w-]|===[+!]?[ \t]+[\"']")
_CJK_HEADING = re.compile(rf"(#{{1,6}})(?=[{CJK}])([^\r\n#]++)#*[ \t]*$")
_WHOLE_ELEMENT = re.compile(r"<(?:[!?]|(?:script|style|pre|textarea|h[1-6]|summary)\b)", re.IGNORECASE)
_FRAGMENT = re.compile(r"</?>")
_HASHTAG = re.compile(r"[ \t]#\S")


def admonition(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse `!!! note "Title"`, `??? note` and `=== "Tab"` with the indented lines below as a container."""
    if state.is_code_block(start) or not _ADMONITION.match(_line(state, start)):
        return False
    if silent:
        return True
    last = start + 1
    indent = state.sCount[start] + BODY_INDENT
    for line in range(start + 1, end):
        if state.isEmpty(line):
            continue
        if state.sCount[line] < indent:
            break
        last = line + 1
    state.push("admonition_open", "div", 1).map = [start, last]
    state.push("paragraph_open", "p", 1).map = [start, start + 1]
    state.push("paragraph_close", "p", -1)
    _tokenize_body(state, start + 1, last)
    state.push("admonition_close", "div", -1)
    state.line = last
    return True


def _tokenize_body(state: StateBlock, start: int, end: int) -> None:
    old_parent, old_max, old_indent = state.parentType, state.lineMax, state.blkIndent
    state.parentType, state.lineMax, state.blkIndent = "admonition", end, state.sCount[start - 1] + BODY_INDENT
    state.level += 1
    state.md.block.tokenize(state, start, end)
    state.level -= 1
    state.parentType, state.lineMax, state.blkIndent = old_parent, old_max, old_indent


def cjk_heading(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse `##标题`, a heading without a blank, if it has a line of its own between blank lines.

    With one `#` it is a tag in many note programs, so that is a heading in the first line of the text only.
    """
    match = _CJK_HEADING.match(_line(state, start))
    if not match or silent or state.level or state.is_code_block(start) or _HASHTAG.search(match[2]):
        return False
    is_alone = (start == 0 or state.isEmpty(start - 1)) and (start + 1 >= end or state.isEmpty(start + 1))
    if not is_alone or (len(match[1]) == 1 and any(not state.isEmpty(line) for line in range(min(start, 200)))):
        return False
    state.line = start + 1
    opening = state.push("heading_open", f"h{len(match[1])}", 1)
    opening.map = [start, start + 1]
    state.push("inline", "", 0).content = match[2].strip()
    state.push("heading_close", opening.tag, -1)
    return True


def long_shortcode(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a Hugo shortcode over several lines: its last line may begin with `>`, which is not a quote."""
    position = state.bMarks[start] + state.tShift[start]
    if not state.src.startswith(("{{<", "{{%"), position):
        return False
    closing = ">}}" if state.src[position + 2] == "<" else "%}}"
    found = state.src.find(closing, position, state.eMarks[min(end, start + MAX_SHORTCODE_LINES) - 1])
    if found < 0 or found < state.eMarks[start]:
        return False
    if not silent:
        state.line = start + 1 + state.src.count("\n", position, found)
        state.push("paragraph_open", "p", 1).map = [start, state.line]
        state.push("paragraph_close", "p", -1)
    return True


def jsx_tags(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse lines that have nothing but tags, as MDX does: what follows is Markdown, with or without a blank line."""
    position = state.bMarks[start] + state.tShift[start]
    if not state.src.startswith("<", position):
        return False
    if _WHOLE_ELEMENT.match(state.src, position):
        return html_block(state, start, end, silent)
    limit = state.eMarks[end - 1]
    while position < limit and state.src[position] == "<":
        tag = JSX.match(state.src, position, limit) or TAG.match(state.src, position, limit)
        tag = tag or _FRAGMENT.match(state.src, position, limit)
        if tag is None:
            return False
        position = _after_blanks(state.src, tag.end(), limit)
    if position < limit and state.src[position] != "\n":
        return False
    if silent:
        return True
    state.line = start + 1 + state.src.count("\n", state.bMarks[start], position)
    state.push("html_block", "", 0).map = [start, state.line]
    return True


def loose_paragraph(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: ARG001 (a rule)
    """Parse a paragraph that ends at any block, however far that is indented."""
    rules = state.md.block.ruler.getRules("paragraph")
    outer, state.parentType = state.parentType, "paragraph"
    line = start + 1
    while line < state.lineMax and not state.isEmpty(line):
        if state.sCount[line] >= 0 and any(rule(state, line, state.lineMax, True) for rule in rules):
            break
        line += 1
    state.parentType = outer
    state.line = line
    state.push("paragraph_open", "p", 1).map = [start, line]
    state.push("paragraph_close", "p", -1)
    return True


def _after_blanks(text: str, position: int, limit: int) -> int:
    while position < limit and text[position] in " \t":
        position += 1
    return position


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
