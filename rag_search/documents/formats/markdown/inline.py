"""Find what a reader does not see in a stretch of Markdown: link targets, emphasis marks, tags, comments.

One pass from left to right over the marks, in linear time whatever the text is. It is not a CommonMark inline parser:
a link is `[...]` followed by `(...)` that closes within MAX_TARGET_CHARS, emphasis is a pair of equal runs.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Set

from rag_search.documents.formats.base import Edit
from rag_search.documents.formats.markdown.blocks import label_key
from rag_search.documents.formats.markdown.html_tags import BLOCK_TAGS, INLINE_TAGS

MAX_TARGET_CHARS = 4_000
MAX_PARENTHESES = 4  # nested in a target; without a bound, a million `](` would each read on to the last
MAX_TAG_CHARS = 4_000
MAX_ALT_CHARS = 300


_MARKS = re.compile(r"\\|`+|\*+|_+|~~+|!?\[|\]|<|&|\{")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_TAG = re.compile(rf"</?([A-Za-z][A-Za-z0-9.:-]{{0,60}})((?:[ \t\r\n/][^<>]{{0,{MAX_TAG_CHARS}}})?)>")
_ALT = re.compile(r"""[ \t\r\n]alt=["']([^"'<>]*)["']""")
_ANCHOR = re.compile(r"\{[ \t]?[#.:][^{}\r\n]{0,200}\}")
_LABEL = re.compile(r"\[([^\[\]]{0,999})\]")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def plain_inline(text: str, *, labels: Set[str] = frozenset()) -> str:
    """Return `text` (a heading, a cell) as a reader sees it, on one line."""
    return " ".join(apply_edits(text, inline_edits(text, 0, len(text), labels=labels)).split())


def apply_edits(text: str, edits: list[Edit]) -> str:
    """Return `text` with the edits made; they are sorted and disjoint."""
    pieces: list[str] = []
    position = 0
    for edit in edits:
        pieces += text[position : edit.start], edit.text
        position = edit.end
    return "".join([*pieces, text[position:]])


def inline_edits(text: str, start: int, end: int, *, labels: Set[str]) -> list[Edit]:
    """Return the edits within text[start:end], sorted and disjoint.

    labels: names of link definitions, see `label_key`.
    """
    scan = _Scan(text, start, end, labels)
    position = start
    while mark := _MARKS.search(text, position, end):
        position = scan.take(mark.start(), mark.end())
    return sorted(scan.edits)


class _Scan:
    """The state of the one pass: open brackets, open emphasis, and where code spans can close."""

    def __init__(self, text: str, start: int, end: int, labels: Set[str]) -> None:
        self.text, self.end, self.labels = text, end, labels
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
                self.brackets.append((start, end))
                self.latest_bracket = end
                return end
            case "]":
                return self._link(start)
            case "<":
                return self._angle(start)
            case "{":
                return self._replace(_ANCHOR, start, "")
            case _:
                return self._entity(start)

    def _edit(self, start: int, end: int, replacement: str = "") -> int:
        self.edits.append(Edit(start, end, replacement))
        return end

    def _replace(self, pattern: re.Pattern[str], start: int, replacement: str) -> int:
        match = pattern.match(self.text, start, self.end)
        return self._edit(start, match.end(), replacement) if match else start + 1

    def _escape(self, start: int) -> int:
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
        return self._edit(runs[following], runs[following] + end - start)

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

    def _link(self, start: int) -> int:
        if not self.brackets:
            return start + 1
        mark_start, mark_end = self.brackets.pop()
        can_be_label = self.labels and mark_end == self.latest_bracket and start - mark_end < 1000
        closing = self._target_end(start + 1, self.text[mark_end:start] if can_be_label else "")
        if not closing:
            return start + 1
        self._edit(mark_start, mark_end)
        return self._edit(start, closing)

    def _target_end(self, position: int, label: str) -> int:
        """Return where the target after `]` ends, or 0 if there is none.

        A target is `(url "title")`, `[label]`, or nothing at all after a known label.
        """
        if self.text.startswith("(", position, self.end):
            return _closing_parenthesis(self.text, position, min(self.end, position + MAX_TARGET_CHARS))
        if not self.labels:
            return 0
        if named := _LABEL.match(self.text, position, self.end):
            return named.end() if label_key(named.group(1) or label) in self.labels else 0
        return position if label and label_key(label) in self.labels else 0

    def _angle(self, start: int) -> int:
        if self.text.startswith("<!--", start):
            return self._through("-->", start)
        if not (tag := _TAG.match(self.text, start, self.end)):
            return start + 1
        name, attributes = tag.group(1).lower(), tag.group(2)
        if name in ("script", "style") and not self.text.startswith("/", start + 1):
            return self._through(f"</{name}>", start)
        if name in INLINE_TAGS:
            return self._edit(start, tag.end())
        if name in BLOCK_TAGS or "=" in attributes or attributes.strip().endswith("/"):
            alt = _ALT.search(attributes) if name == "img" else None
            return self._edit(start, tag.end(), html.unescape(alt.group(1)[:MAX_ALT_CHARS]) if alt else " ")
        return tag.end()  # `List<String>`, `<your-name>`: text that is not escaped

    def _through(self, closing: str, start: int) -> int:
        """Drop everything to the end of `closing`; the mark alone when it never comes."""
        found = -1 if closing in self.unclosed else self.text.find(closing, start + 2, self.end)
        if found < 0:
            self.unclosed.add(closing)
            return start + 1
        return self._edit(start, found + len(closing))

    def _entity(self, start: int) -> int:
        if entity := _ENTITY.match(self.text, start, self.end):
            return self._edit(start, entity.end(), html.unescape(entity.group()))
        return start + 1


def _closing_parenthesis(text: str, opening: int, end: int) -> int:
    """Return the offset after the parenthesis that closes the one at `opening`, or 0. A blank line ends the search."""
    depth, position = 0, opening
    while position < end:
        char = text[position]
        if char == "\\":
            position += 1
        elif char == "(":
            depth += 1
            if depth > MAX_PARENTHESES:
                return 0
        elif char == ")":
            depth -= 1
            if not depth:
                return position + 1
        elif char == "\n" and text[position + 1 : position + 2] in ("\n", "\r", ""):
            return 0
        position += 1
    return 0
