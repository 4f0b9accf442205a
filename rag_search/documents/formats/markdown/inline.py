"""Find what a reader does not see in a stretch of Markdown: link targets, emphasis marks, tags, comments.

One pass from left to right over the marks, in linear time whatever the text is. It is not a CommonMark inline parser:
a link is `[...]` followed by `(...)` that closes within MAX_TARGET_CHARS, emphasis is a pair of equal runs.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections import defaultdict

from rag_search.documents.formats.base import Edit
from rag_search.documents.formats.markdown.blocks import label_key
from rag_search.documents.formats.markdown.brackets import (
    closing_parenthesis,
    language_start,
    may_be_attributes,
    read_attributes,
    read_block_reference,
    read_bracket,
    read_expression,
    read_macro,
    read_math,
    read_role,
)
from rag_search.documents.formats.markdown.context import Context
from rag_search.documents.formats.markdown.marks import LATEX_STARTS, read_address, read_colon, read_latex, read_pair
from rag_search.documents.formats.markdown.tags import Replacement, read_braces, read_tag

MAX_TARGET_CHARS = 4_000

_MARKS = re.compile(  # every alternative begins with a plain character: see `whole_lines.TRIGGER`
    r"\\|``*|\*\**|__*|~~+|!\[|\[|\]|<|&|\{|==|%%|\$|\(\((?=[0-9a-f]{8}-)|:(?=[a-z][a-z0-9-]{0,90}[\[{:])"
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LABEL = re.compile(r"\[([^\[\]]{0,999})\]")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def plain_inline(text: str, *, context: Context = Context()) -> str:  # noqa: B008 (frozen)
    """Return `text` (a heading, a cell) as a reader sees it, on one line."""
    return " ".join(apply_edits(text, inline_edits(text, 0, len(text), context=context)).split())


def apply_edits(text: str, edits: list[Edit]) -> str:
    """Return `text` with the edits made; they are sorted and disjoint."""
    pieces: list[str] = []
    position = 0
    for edit in edits:
        pieces += text[position : edit.start], edit.text
        position = edit.end
    return "".join([*pieces, text[position:]])


def inline_edits(text: str, start: int, end: int, *, context: Context) -> list[Edit]:
    """Return the edits within text[start:end], sorted and disjoint."""
    if not (mark := _MARKS.search(text, start, end)):
        return []
    scan = _Scan(text, start, end, context)
    while mark:
        mark = _MARKS.search(text, scan.take(mark.start(), mark.end()), end)
    return sorted(scan.edits)


class _Scan:
    """The state of the one pass: open brackets, open emphasis, and where code spans can close."""

    def __init__(self, text: str, start: int, end: int, context: Context) -> None:
        self.text, self.start, self.end, self.context = text, start, end, context
        self.edits: list[Edit] = []
        self.brackets: list[tuple[int, int]] = []
        self.latest_bracket = -1
        self.emphasis: dict[str, tuple[int, int]] = {}
        self.unclosed: set[str] = set()
        self.backticks: dict[int, list[int]] = defaultdict(list)
        for run in re.finditer("`+", text[start:end]) if "`" in text[start:end] else ():
            self.backticks[run.end() - run.start()].append(start + run.start())

    def take(self, start: int, end: int) -> int:
        """Read the mark at [start, end) and return where to go on."""
        match self.text[start]:
            case "\\":
                return self._escape(start)
            case "`":
                return self._code_span(start, end)
            case "*" | "_" | "~":
                return self._emphasis(start, end)
            case "[" | "!":
                return self._bracket(start, end)
            case "]":
                return self._link(start)
            case "<":
                return self._angle(start)
            case "{":
                return self._brace(start)
            case "=" | "%":
                edits = read_pair(self.text, start, self.end, begin=self.start)
                self.edits += edits
                return start + 2 if len(edits) == 2 else edits[0].end if edits else end
            case "$":
                return read_math(self.text, start, self.end) or start + 1
            case "(":
                return self._apply(read_block_reference(self.text, start, self.end), start, end)
            case ":":
                return self._apply(read_colon(self.text, start, self.end, begin=self.start), start, start + 1)
            case _:
                return self._entity(start)

    def _edit(self, start: int, end: int, replacement: str = "") -> int:
        self.edits.append(Edit(start, end, replacement))
        return end

    def _apply(self, replacement: Replacement | None, start: int, otherwise: int) -> int:
        return self._edit(start, *replacement) if replacement else otherwise

    def _escape(self, start: int) -> int:
        if self.text[start + 1 : start + 2] in LATEX_STARTS and (command := read_latex(self.text, start, self.end)):
            return self._edit(start, *command)
        if start + 1 < self.end and self.text[start + 1] in _PUNCTUATION:
            self._edit(start, start + 1)
            return start + 2
        return start + 1

    def _code_span(self, start: int, end: int) -> int:
        runs = self.backticks[end - start]
        following = bisect_left(runs, end)
        if following == len(runs):
            return end
        self._edit(start, end)
        closing = runs[following]
        if self.context.is_knitr and self.text.startswith(("r ", "{r} ", "{python} "), end):
            return self._edit(start, closing + end - start)
        return self._edit(language_start(self.text, end, closing), closing + end - start)

    def _emphasis(self, start: int, end: int) -> int:
        before = self.text[start - 1] if start else " "
        after = self.text[end] if end < len(self.text) else " "
        run = self.text[start:end] if end - start <= 3 else ""
        inside_word = before.isalnum() and after.isalnum() and run[:1] == "_"
        if not run or inside_word:
            return end
        if run in self.emphasis and not before.isspace():
            self._edit(*self.emphasis.pop(run))
            self._edit(start, end)
        elif not after.isspace():
            self.emphasis[run] = (start, end)
        return end

    def _bracket(self, start: int, end: int) -> int:
        if replacement := read_bracket(self.text, start, self.end):
            return self._edit(start, *replacement)
        self.brackets.append((start, end))
        self.latest_bracket = end
        return end

    def _link(self, start: int) -> int:
        if not self.brackets:
            return start + 1
        mark_start, mark_end = self.brackets.pop()
        can_be_label = self.context.labels and mark_end == self.latest_bracket and start - mark_end < 1000
        closing = self._target_end(start + 1, self.text[mark_end:start] if can_be_label else "")
        if not closing:
            return start + 1
        self._edit(mark_start, mark_end)
        return self._edit(start, closing)

    def _target_end(self, position: int, label: str) -> int:
        """Return where the target after `]` ends, or 0 if there is none.

        A target is `(url "title")`, `[label]`, `{attributes}`, or nothing at all after a known label.
        """
        text = self.text
        if text.startswith("(", position, self.end):
            if text.startswith("data:", position + 1):
                return self._find(")", position)
            return closing_parenthesis(text, position, min(self.end, position + MAX_TARGET_CHARS))
        if text.startswith("{", position, self.end):
            return read_attributes(text, position, self.end)
        if not self.context.labels:
            return 0
        if named := _LABEL.match(text, position, self.end):
            return named.end() if label_key(named.group(1) or label) in self.context.labels else 0
        return position if label and label_key(label) in self.context.labels else 0

    def _angle(self, start: int) -> int:
        text = self.text
        if text.startswith("<!--", start):
            return self._through("-->", start)
        if text.startswith(("<script", "<style"), start) and read_tag(text, start, self.end, self.context):
            return self._through("</script>" if text.startswith("<sc", start) else "</style>", start)
        if text.startswith("</>", start) or (text.startswith("<>", start) and self.context.is_mdx):
            return self._edit(start, text.index(">", start) + 1)
        if replacement := read_address(text, start, self.end) or read_tag(text, start, self.end, self.context):
            return self._edit(start, *replacement)
        if (
            text.startswith("<img", start)
            and (closing := self._find(">", start))
            and "data:" in text[start : start + 200]
        ):
            return self._edit(start, closing)
        return start + 1

    def _brace(self, start: int) -> int:
        text, end = self.text, self.end
        if text.startswith("{/*", start):
            return self._through("*/}", start)
        if replacement := read_braces(text, start, end, self.context):
            return self._edit(start, *replacement)
        if text.startswith("{{", start) and (macro := read_macro(text, start, end)):
            return self._edit(start, *macro)
        if role := read_role(text, start, end):
            self.edits += role
            return role[-1].end
        if (closing := read_attributes(text, start, end)) and may_be_attributes(text, self.start, start, closing):
            return self._edit(start, closing)
        if self.context.is_mdx:
            return self._apply(read_expression(text, start, end), start, start + 1)
        return start + 1

    def _find(self, closing: str, start: int) -> int:
        """Return the offset after the next `closing`, 0 if it never comes."""
        found = -1 if closing in self.unclosed else self.text.find(closing, start + 2, self.end)
        if found < 0:
            self.unclosed.add(closing)
            return 0
        return found + len(closing)

    def _through(self, closing: str, start: int) -> int:
        """Drop everything to the end of `closing`; nothing if it never comes."""
        end = self._find(closing, start)
        return self._edit(start, end) if end else start + 1

    def _entity(self, start: int) -> int:
        if entity := _ENTITY.match(self.text, start, self.end):
            return self._edit(start, entity.end(), html.unescape(entity.group()))
        return start + 1
