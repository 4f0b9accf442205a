"""Org files as an outline: headlines, blocks, drawers and the usual inline marks."""

from __future__ import annotations

import re
from typing import Any

from rag_search.documents.formats.base import ParsedText, decode_text
from rag_search.documents.formats.line_text import WORDS, LineText, shown

_HEADLINE = re.compile(rf"(\*{{1,20}})[ \t]+{WORDS}(?:[ \t]+:[\w@#%:]+:)?[ \t]*$")
_STATE = re.compile(r"\[#[A-Z0-9]\][ \t]+|(?<![ \t])[ \t]*\[\d*(?:/\d*|%)\]")
_KEYWORD = re.compile(r"[ \t]*#\+([\w-]{1,60})(?:\[[^\]]*\])?:[ \t]*(.*)$")
_BEGIN = re.compile(r"[ \t]*#\+begin_(\w+)", re.IGNORECASE)
_DRAWER = re.compile(r"[ \t]*:[\w-]+:[ \t]*$")
_COMMENT = re.compile(r"[ \t]*#(?:[ \t]|$|\+)")
_TABLE_RULE = re.compile(r"[ \t]*\|-[-+|]*$")
_ITEM = re.compile(r"[ \t]*(?:[-+]|[ \t]\*|\d{1,4}[.)])[ \t]")
_CODE = frozenset({"src", "example", "export", "latex"})
_MARKS = re.compile(
    r"\[\[[^\[\]\r\n]{1,500}\]\[(?P<text>[^\[\]\r\n]{1,300})\]\]|\[\[(?P<link>[^\[\]\r\n]{1,500})\]\]"
    r"|[ \t]?\[fn:[^\[\]\s]{0,60}\]|<<<?[^<>\r\n]{1,100}>>>?"
    r"|(?<![\w*/=~_+])(?:\*(?P<bold>[^\s*](?:[^*\r\n]{0,500}?[^\s*])?)\*|/(?P<italic>[^\s/](?:[^/\r\n]{0,300}?[^\s/])?)/"
    r"|=(?P<verbatim>[^\s=](?:[^=\r\n]{0,500}?[^\s=])?)=|~(?P<code>[^\s~](?:[^~\r\n]{0,500}?[^\s~])?)~"
    r"|\+(?P<struck>[^\s+](?:[^+\r\n]{0,300}?[^\s+])?)\+)(?![\w*/=~_+])"
)


class Org:
    """Org. The title is `#+TITLE`; keywords at the top are metadata."""

    name = "org"
    suffixes = frozenset({".org"})
    is_markdown = False
    is_installed = True

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16."""
        return decode_text(content)

    def parse(self, text: str) -> ParsedText:
        """Return headlines, paragraphs, code and the marks that a reader does not see."""
        reader = _Reader(text)
        reader.read()
        headings = [block for block in reader.blocks if block.kind == "heading"]
        only = headings[0].content if len([block for block in headings if block.level == 1]) == 1 else ""
        title = shown(str(reader.metadata.get("title", "")), _MARKS) or only
        return ParsedText(title, reader.metadata, reader.blocks, reader.edits)


class _Reader(LineText):
    """Reads lines one construct at a time."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.metadata: dict[str, Any] = {}

    def read(self) -> None:
        """Read all lines."""
        line = 0
        while line < len(self.lines):
            content = self.lines[line]
            if not content.strip():
                line += 1
            elif headline := _HEADLINE.match(content):
                self.replace(line, 0, headline.start(2))
                self.replace(line, headline.end(2), len(content))
                self.add_heading(line, line + 1, min(6, len(headline[1])), _name(headline[2]))
                self.hide_marks(_MARKS, line, line + 1)
                line += 1
            elif begin := _BEGIN.match(content):
                line = self._block(line, begin[1].lower())
            elif _DRAWER.match(content):
                line = self._drawer(line)
            elif _COMMENT.match(content):
                line = self._keyword(line)
            else:
                line = self._paragraph(line)

    def _end(self, line: int, closing: str) -> int:
        """Return the line after the one that is `closing`, 0 if there is none before the next headline."""
        for number in range(line + 1, len(self.lines)):
            if self.lines[number].strip().lower().startswith(closing):
                return number + 1
            if _HEADLINE.match(self.lines[number]):
                return 0
        return 0

    def _hidden(self, first: int, last: int) -> int:
        self.hide(first, last)
        self.add("definition", first, last)
        return last

    def _block(self, line: int, name: str) -> int:
        end = self._end(line, f"#+end_{name}")
        if not end or name not in _CODE | {"comment"}:
            return self._hidden(line, line + 1)
        if name == "comment":
            return self._hidden(line, end)
        words = self.lines[line].split()
        self.replace(line, 0, len(self.lines[line]), f"```{words[1]}" if name == "src" and len(words) > 1 else "")
        self.replace(end - 1, 0, len(self.lines[end - 1]), "```" if name == "src" and len(words) > 1 else "")
        self.add("fence" if name == "src" else "code", line, end)
        return end

    def _drawer(self, line: int) -> int:
        return self._hidden(line, self._end(line, ":end:") or line + 1)

    def _keyword(self, line: int) -> int:
        keyword = _KEYWORD.match(self.lines[line])
        if keyword and keyword[1].lower() == "caption":
            self.replace(line, 0, keyword.start(2))
            self.add("paragraph", line, line + 1)
            return line + 1
        if keyword:
            self.metadata.setdefault(keyword[1].lower(), keyword[2].strip())
        return self._hidden(line, line + 1)

    def _paragraph(self, line: int) -> int:
        end = line + 1
        while end < len(self.lines) and self._continues(self.lines[end]):
            end += 1
        is_table = self.lines[line].lstrip().startswith("|")
        for inner in range(line, end):
            if is_table and _TABLE_RULE.match(self.lines[inner]):
                self.hide(inner, inner + 1)
        self.add("code" if is_table else "paragraph", line, end)
        self.hide_marks(_MARKS, line, end)
        return end

    def _continues(self, content: str) -> bool:
        return bool(content.strip()) and not (
            _HEADLINE.match(content) or _COMMENT.match(content) or _DRAWER.match(content) or _ITEM.match(content)
        )


def _name(headline: str) -> str:
    """Return the text of a headline without its priority and its counter of tasks."""
    return shown(_STATE.sub("", headline).strip() or headline, _MARKS)
