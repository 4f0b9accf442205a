"""AsciiDoc as an outline: sections, blocks between delimiters, and the usual inline marks."""

from __future__ import annotations

import re
from typing import Any

from rag_search.documents.formats.base import ParsedText, decode_text
from rag_search.documents.formats.line_text import LineText, shown

_TITLE = re.compile(r"(={1,6})[ \t]+(\S.*?)(?:[ \t]+=+)?[ \t]*$")
_ATTRIBUTE = re.compile(r":!?([\w-]{1,60})!?:(?:[ \t]+(.*))?$")
_DELIMITER = re.compile(r"(?:-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|```[\w-]*|[|,:!]={3,})[ \t]*$")
_HIDDEN_LINE = re.compile(
    r"\[\[[^\]]*\]\]$|\[[^\]]*\]$|//(?!/).*$|\+$|(?:include|ifdef|ifndef|ifeval|endif|toc)::.*$|'{3,}$|<{3,}$"
)
_BLOCK_TITLE = re.compile(r"\.(?=[^\s.])")
_PICTURE = re.compile(r"(?:image|video|audio)::?[^\s\[]{0,500}\[([^\],\r\n]*)[^\]\r\n]*\]$")
_ITEM = re.compile(r"[ \t]*(?:[*-]{1,6}|\.{1,6}|\d{1,4}\.)[ \t]")
_MARKS = re.compile(
    r"(?:link|xref|mailto|kbd|btn|menu|pass|stem|latexmath|icon|footnote|anchor):{1,2}[^\s\[\]]{0,500}\[(?P<macro>[^\[\]\r\n]{0,300})\]"
    r"|https?://[^\s\[\]<>]{1,500}\[(?P<link>[^\[\]\r\n]{1,300})\]"
    r"|<<[^<>,\r\n]{1,200},[ \t]*(?P<cross>[^<>\r\n]{1,200})>>|<<(?P<id>[^<>,\r\n]{1,200})>>"
    r"|image:[^\s\[:][^\s\[]{0,500}\[(?P<alt>[^\[\],\r\n]{0,300})[^\[\]\r\n]{0,300}\]"
    r"|\[\[[\w:.-]{1,100}\]\]|\[[.#][\w.#-]{1,100}\](?=[*_`#])|\(\(\([^()\r\n]{1,300}\)\)\)"
    r"|(?<![\w`])`\+?(?P<code>[^`\s](?:[^`\r\n]{0,500}?[^`\s])?)\+?`(?![\w`])"
    r"|(?<![\w*])\*(?P<strong>[^*\s](?:[^*\r\n]{0,500}?[^*\s])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<emphasis>[^_\s](?:[^_\r\n]{0,500}?[^_\s])?)_(?![\w_])"
)
_CODE = frozenset("-.+`")


class AsciiDoc:
    """AsciiDoc. The title is the document title; attributes in the header are metadata."""

    name = "asciidoc"
    suffixes = frozenset({".adoc", ".asciidoc", ".asc"})
    is_markdown = False
    is_installed = True

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16."""
        return decode_text(content)

    def parse(self, text: str) -> ParsedText:
        """Return sections, blocks and the marks that a reader does not see."""
        reader = _Reader(text)
        reader.read()
        title = next((block.content for block in reader.blocks if block.kind == "heading"), "")
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
            content = self.lines[line].rstrip()
            if not content.strip():
                line += 1
            elif title := _TITLE.match(content):
                line = self._title(line, title)
            elif _DELIMITER.match(content):
                line = self._delimited(line, content)
            elif attribute := _ATTRIBUTE.match(content):
                self.metadata[attribute[1].lower()] = (attribute[2] or "").strip()
                line = self._hidden(line)
            elif _HIDDEN_LINE.match(content):
                line = self._hidden(line)
            elif picture := _PICTURE.match(content):
                self.replace(line, 0, len(self.lines[line]), picture[1].strip("\"' "))
                self.add("paragraph", line, line + 1)
                line += 1
            else:
                line = self._paragraph(line)

    def _title(self, line: int, title: re.Match[str]) -> int:
        self.replace(line, 0, title.start(2))
        self.replace(line, title.end(2), len(self.lines[line]))
        self.add_heading(line, line + 1, len(title[1]), shown(title[2], _MARKS))
        self.hide_marks(_MARKS, line, line + 1)
        if line or len(title[1]) > 1:
            return line + 1
        following = line + 1
        while following < len(self.lines) and re.match(r"[\w(].*@|v?\d+\.\d", self.lines[following]):
            following = self._hidden(following)  # author and revision
        return following

    def _hidden(self, line: int) -> int:
        self.hide(line, line + 1)
        self.add("definition", line, line + 1)
        return line + 1

    def _delimited(self, line: int, delimiter: str) -> int:
        """Read code and comments up to the closing delimiter; of other blocks hide the delimiters only."""
        if delimiter[0] not in _CODE and delimiter[0] != "/":
            return self._hidden(line)
        if delimiter == "--":
            return self._hidden(line)
        closing = "```" if delimiter.startswith("```") else delimiter
        end = next((i for i in range(line + 1, len(self.lines)) if self.lines[i].rstrip() == closing), -1)
        if end < 0:
            return self._hidden(line)
        if delimiter[0] == "/":
            self.hide(line, end + 1)
            self.add("definition", line, end + 1)
        else:
            self.replace(line, 0, len(self.lines[line]))
            self.hide(end, end + 1)
            self.add("code", line, end + 1)
        return end + 1

    def _paragraph(self, line: int) -> int:
        end = line + 1
        while end < len(self.lines) and self._continues(self.lines[end].rstrip()):
            end += 1
        if title := _BLOCK_TITLE.match(self.lines[line]):
            self.replace(line, 0, title.end())
        self.add("paragraph", line, end)
        self.hide_marks(_MARKS, line, end)
        return end

    def _continues(self, content: str) -> bool:
        starts_other = _TITLE.match(content) or _DELIMITER.match(content) or _HIDDEN_LINE.match(content)
        return bool(content) and not starts_other and not _ITEM.match(content)
