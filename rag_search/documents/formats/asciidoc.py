"""AsciiDoc as an outline: sections, blocks between delimiters, and the usual inline marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rag_search.documents.formats.base import Edit, ParsedText, decode_text
from rag_search.documents.formats.line_text import WORDS, LineText, shown

_TITLE = re.compile(rf"(={{1,6}})[ \t]+{WORDS}(?:[ \t]+=+)?[ \t]*$")
_REFERENCE = re.compile(r"\\?\{([a-z0-9][\w-]{0,60})\}")
_ATTRIBUTE = re.compile(r":!?([\w-]{1,60})!?:(?:[ \t]+(.*))?$")
_DELIMITER = re.compile(r"(?:-{4,}|\.{4,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|```[\w-]*|[|,:!]={3,})[ \t]*$")
_HIDDEN_LINE = re.compile(
    r"\[\[[^\]]*\]\]$|\[[^\]]*\]$|//(?!/).*$|\+$|(?:ifdef|ifndef|ifeval|endif)::.*$|'{3,}$|<{3,}$"
    r"|(?!image|video|audio)[a-z][\w-]{0,40}::[^\s\[]*\[.*\]$"
)
_AUTHOR_OR_REVISION = re.compile(r"[\w(].*@|v?\d+\.\d|v\d+,|\d{4}-\d\d-\d\d[ \t]*$")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_BLOCK_TITLE = re.compile(r"\.(?=[^\s.])")
_PICTURE = re.compile(r"(?:image|video|audio)::?[^\s\[]{0,500}\[([^\],\r\n]*)(?:,[^\]\r\n]*)?\]$")
_ITEM = re.compile(r"[ \t]*(?:[*-]{1,6}|\.{1,6}|\d{1,4}\.)[ \t]")
_CELL = re.compile(r"[ \t]*(?:\d{0,3}(?:\.\d{1,3})?[+*])?[<^>]?(?:\.[<^>])?[a-z]?(?=\|[^=])")
_TERM = re.compile(r"[ \t]*\S.{0,200}?(:{2,4}|;;)(?=[ \t]|$)")
_LABEL = r"\^?(?:,[ \t]*[\w-]+=[^\[\]\r\n]{0,200})?\]"  # a new window, and attributes, after the text of a macro
_NO_TEXT = r"\[(?:[\w-]+=[^\[\]\r\n]{0,200})?\]"
_BREAK = r"(?<=\S)[ \t]\+(?=[ \t]*(?:[\r\n]|$))"  # a line ends here
_FORMATS = (
    r"(?<![\w`])(?P<ticks>``?)\+?(?P<code>[^`\s](?:[^`\r\n]{0,500}?[^`\s])?)\+?(?P=ticks)(?![\w`])"
    r"|(?<![\w*])\*(?P<strong>[^*\s](?:[^*\r\n]{0,500}?[^*\s])?)\*(?![\w*])"
    r"|(?<![\w_])_(?P<emphasis>[^_\s](?:[^_\r\n]{0,500}?[^_\s])?)_(?![\w_])"
)
_FORMAT_MARKS = re.compile(_FORMATS)
_MARKS = re.compile(
    r"(?:anchor|icon|indexterm2?):[^\s\[\]]{0,200}\[[^\[\]\r\n]{0,300}\]"
    r"|image::?[^\s\[:][^\s\[]{0,500}\[(?P<alt>[^\[\],\r\n]{0,300})[^\[\]\r\n]{0,300}\]"
    rf"|(?:xref|link):(?:[^\s\[\]#]{{0,300}}#(?P<part>[^\s\[\]#]{{1,200}})|(?:[^\s\[\]#]{{0,300}}[/:])?"
    rf"(?P<page>[^\s\[\]#/:]{{1,200}}?)(?:\.adoc)?#?){_NO_TEXT}"
    rf"|(?:https?:/|(?<![\w:])[a-z][a-z-]{{1,30}}:(?=[^\s:])|\{{[\w-]{{1,60}}\}})[^\s\[\]<>]{{0,500}}"
    rf"\[(?P<text>(?!\w+=)[^\[\]\r\n]{{1,300}}?){_LABEL}"
    rf"|(?P<address>https?://[^\s\[\]<>]{{1,500}}){_NO_TEXT}"
    rf"|(?<![\w:])[a-z][a-z-]{{1,30}}:(?P<target>[^\s\[\]:][^\s\[\]]{{0,500}}){_NO_TEXT}"
    r"|<<[^<>,\r\n]{1,200},[ \t]*(?P<cross>[^<>\r\n]{1,200})>>|<<(?P<id>[^<>,\r\n]{1,200})>>"
    r"|\[\[[\w:.-]{1,100}\]\]|\[[.#][\w.#-]{1,100}\](?=[*_`#])|\(\(\([^()\r\n]{1,300}\)\)\)"
    rf"|{_BREAK}|{_FORMATS}"
)
_NESTING = frozenset({"text", "cross"})
_BUILT_IN = {
    "nbsp": " ",
    "sp": " ",
    "empty": "",
    "blank": "",
    "plus": "+",
    "amp": "&",
    "lt": "<",
    "gt": ">",
    "vbar": "|",
}
MAX_VALUE_CHARS = 300  # of an attribute where it is referred to
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
        blocks = [replace(block, content=reader.with_values(block.content)) for block in reader.blocks]
        title = next((block.content for block in blocks if block.kind == "heading"), "")
        return ParsedText(title, reader.metadata, blocks, [*reader.edits, *reader.value_edits()])


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
        self._hide_inline(line, line + 1)
        if line or len(title[1]) > 1:
            return line + 1
        following = line + 1
        while following < len(self.lines) and _AUTHOR_OR_REVISION.match(self.lines[following]):
            if day := _DAY.search(self.lines[following]):
                self.metadata["revdate"] = day[0]
            following = self._hidden(following)
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
        for inner in range(line, end):
            if cell := _CELL.match(self.lines[inner]):
                self.replace(inner, 0, cell.end())
            elif term := _TERM.match(self.lines[inner]):
                self.replace(inner, term.start(1), term.end(1))
        self.add("paragraph", line, end)
        self._hide_inline(line, end)
        return end

    def _hide_inline(self, first: int, last: int) -> None:
        """Hide marks in the lines [first, last), also those in the text of links."""
        start, end = self.bounds[first], self.bounds[last]
        self.hide_marks(_MARKS, first, last)
        for match in _MARKS.finditer(self.text, start, end):
            if match.lastgroup in _NESTING:
                self.hide_marks_between(_FORMAT_MARKS, *match.span(match.lastgroup))

    def with_values(self, text: str) -> str:
        """Return a line with the values of the attributes that it refers to."""
        return _REFERENCE.sub(lambda found: self._value(found[1]) or found[0], text)

    def value_edits(self) -> Iterator[Edit]:
        """Yield edits that show the values of attributes outside of code."""
        for block in self.blocks if "{" in self.text else ():
            if block.kind not in ("paragraph", "heading"):
                continue
            for reference in _REFERENCE.finditer(self.text, self.bounds[block.start], self.bounds[block.end]):
                value = self._value(reference[1])
                if value is not None and not reference[0].startswith("\\"):
                    yield Edit(*reference.span(), value)

    def _value(self, name: str) -> str | None:
        """Return the text of an attribute that the document sets; None for others, as a component sets them."""
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        value = self.metadata.get(name)
        if not isinstance(value, str):
            return None
        return _REFERENCE.sub(lambda inner: str(self.metadata.get(inner[1], inner[0])), value)[:MAX_VALUE_CHARS]

    def _continues(self, content: str) -> bool:
        starts_other = _TITLE.match(content) or _DELIMITER.match(content) or _HIDDEN_LINE.match(content)
        return bool(content) and not starts_other and not _ITEM.match(content)
