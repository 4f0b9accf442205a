"""Block rules that CommonMark does not have: admonitions and tabs with an indented body, headings without a blank."""

from __future__ import annotations

import re

from markdown_it.rules_block import StateBlock

from rag_search.text.scripts import CJK

BODY_INDENT = 4

_ADMONITION = re.compile(r"(?:!!!|\?\?\?\+?)[ \t]+[\w-]|===[+!]?[ \t]+[\"']")
_CJK_HEADING = re.compile(rf"(#{{1,6}})(?=[{CJK}])([^\r\n#]+)#*[ \t]*$")
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


def _line(state: StateBlock, line: int) -> str:
    return state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
