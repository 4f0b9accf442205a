"""reStructuredText with the directives and roles of Sphinx.

docutils is not used: a directive of an extension that is not loaded is an error to it and costs its content, and the
lines of its nodes are those of the first, the second or the last line, by kind of node.
"""

from __future__ import annotations

import re
from typing import Any

from rag_search.documents.formats.base import ParsedText, decode_text
from rag_search.documents.formats.line_text import LineText, shown

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1*[ \t]*$")
_DIRECTIVE = re.compile(r"(?P<indent>[ \t]*)\.\. (?:\|[^|\r\n]{1,100}\| )?(?P<name>[\w:.+-]{1,60})::[ \t]*")
_FOOTNOTE = re.compile(r"[ \t]*\.\. \[[^\]\r\n]{1,100}\][ \t]*")
_COMMENT = re.compile(r"[ \t]*\.\.(?:[ \t]|$)")
_FIELD = re.compile(r"[ \t]*:([^:\r\n]{1,100}):(?:[ \t]+(.*))?$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•]|(?:\d{1,4}|[A-Za-z#])[.)]|\(\w{1,4}\))[ \t]")
_CODE_NAMES = """
code code-block sourcecode parsed-literal math prompt console testcode testsetup testoutput doctest graphviz mermaid
productionlist digraph ipython csv-table uml plantuml tikz jupyter-execute command-output
"""
_CODE = frozenset(_CODE_NAMES.split())
_HIDDEN_NAMES = """
toctree contents index include highlight default-role currentmodule module role meta raw default-domain tags title
sectnum literalinclude automodule autoclass autofunction autosummary target-notes class codeauthor moduleauthor
sectionauthor ifconfig py:currentmodule py:module bibliography
"""
_HIDDEN = frozenset(_HIDDEN_NAMES.split())
_PICTURES = frozenset({"image", "figure"})
_BOXES_NAMES = "attention caution danger error hint important note seealso tip todo warning"
_BOXES = frozenset(_BOXES_NAMES.split())
_VERSIONS = {
    "deprecated": "Deprecated since version ",
    "versionadded": "New in version ",
    "versionchanged": "Changed in version ",
}
_MARKS = re.compile(
    r"\\(?P<escaped>[^\w\s])|\\(?=\s)"
    r"|``(?P<literal>[^`\r\n](?:[^\r\n]{0,500}?[^`\r\n])?)``"
    r"|(?::[A-Za-z][\w:+.-]{0,40}:)?`[~!]?(?:(?<=:doc:`)/)?(?P<named>[^`<>]{1,300}?)\s*(?:<[^<>`]{1,500}>)?`(?::[\w:+.-]{1,40}:|__?)?"
    r"|(?::[A-Za-z][\w:+.-]{0,40}:)`<?(?P<bare>[^`<>]{1,300})>?`"
    r"|\*\*(?P<strong>[^*\s](?:[^*\r\n]{0,500}[^*\s])?)\*\*"
    r"|(?<![\w*])\*(?P<emphasis>[^*\s](?:[^*\r\n]{0,500}[^*\s])?)\*(?![\w*])"
    r"|(?<!\w)\|(?P<substituted>[^|\s](?:[^|\r\n]{0,100}[^|\s])?)\|_{0,2}(?!\w)"
    r"|(?<=\w)__?(?=[\s.,;:!?)'\"]|$)|[ \t]?\[(?:#[\w-]*|\d+|\*)\]_",
    re.MULTILINE,
)
_LANGUAGE = re.compile(r"[\w+.-]{1,40}[ \t]*$")


class RestructuredText:
    """reStructuredText. The title is the first section title; a field list at the top is metadata."""

    name = "rst"
    suffixes = frozenset({".rst", ".rest"})
    is_markdown = False
    is_installed = True

    def decode(self, content: bytes) -> str:
        """Decode UTF-8 or UTF-16."""
        return decode_text(content)

    def parse(self, text: str) -> ParsedText:
        """Return sections, paragraphs, lists, code and the marks that a reader does not see."""
        reader = _Reader(text)
        reader.read(0, len(reader.lines))
        title = next((block.content for block in reader.blocks if block.kind == "heading"), "")
        return ParsedText(title, reader.metadata, reader.blocks, reader.edits)


class _Reader(LineText):
    """Reads lines one construct at a time. styles: adornments of sections, outermost first."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.styles: list[tuple[str, bool]] = []
        self.metadata: dict[str, Any] = {}

    def read(self, line: int, end: int) -> None:
        """Read the lines [line, end)."""
        while line < end:
            if not self.lines[line].strip():
                line += 1
                continue
            line = max(line + 1, min(end, self._construct(line)))

    def _construct(self, line: int) -> int:
        """Read the construct that begins at `line` and return the line after it."""
        content = self.lines[line]
        if next_line := self._title(line):
            return next_line
        if directive := _DIRECTIVE.match(content):
            return self._directive(line, directive)
        if footnote := _FOOTNOTE.match(content):
            self.replace(line, 0, footnote.end())
            return self._paragraph(line)
        if _COMMENT.match(content):
            return self._comment(line)
        is_top = not self.metadata and all(block.kind in ("heading", "definition") for block in self.blocks)
        if is_top and _FIELD.match(content):
            return self._fields(line)
        if content.startswith("__ ") or content.strip() == "__" or _ADORNMENT.match(content):
            self.hide(line, line + 1)
            self.add("rule", line, line + 1)
            return line + 1
        return self._paragraph(line)

    def _title(self, line: int) -> int:
        lines, last = self.lines, len(self.lines) - 1
        content = lines[line].rstrip()
        if (over := _ADORNMENT.match(content)) and line + 2 <= last and len(content) > 2:
            text, under = lines[line + 1].strip(), _ADORNMENT.match(lines[line + 2])
            if text and under and under[1] == over[1] and len(content) >= len(text):
                return self._add_title(line, line + 3, (over[1], True), line + 1)
        if over or line + 1 > last or content != content.lstrip():
            return 0
        under = _ADORNMENT.match(lines[line + 1])
        if not under or len(lines[line + 1].rstrip()) < min(4, _width(content)):
            return 0
        return self._add_title(line, line + 2, (under[1], False), line)

    def _add_title(self, first: int, last: int, style: tuple[str, bool], text_line: int) -> int:
        if style not in self.styles:
            self.styles.append(style)
        for line in range(first, last):
            if line != text_line:
                self.hide(line, line + 1)
        self.add_heading(first, last, min(6, self.styles.index(style) + 1), shown(self.lines[text_line], _MARKS))
        self.hide_marks(_MARKS, text_line, text_line + 1)
        return last

    def _directive(self, line: int, directive: re.Match[str]) -> int:
        name, indent = directive["name"].lower(), len(directive["indent"])
        end = self.end_of_indented(line + 1, indent + 1)
        body, alt = self._options(line + 1, end)
        if name in _HIDDEN:
            self.hide(line, end)
            self.add("definition", line, end)
        elif name in _CODE:
            has_language = _LANGUAGE.match(directive.string, directive.end())
            self.replace(line, 0, len(self.lines[line]) if has_language else directive.end())
            self.hide(line + 1, body)
            self.add("code", line, end)
        else:
            label = f"{name.capitalize()}: " if name in _BOXES else _VERSIONS.get(name, "")
            is_picture = name in _PICTURES
            self.replace(
                line, 0, len(self.lines[line]) if is_picture else directive.end(), alt if is_picture else label
            )
            self.hide(line + 1, body)
            head = max(line + 1, body)
            self.hide_marks(_MARKS, line, line + 1)
            self.add("paragraph", line, head)
            self.read(head, end)
        return end

    def _options(self, line: int, end: int) -> tuple[int, str]:
        """Return the line after the options of a directive, and the text of its option `alt`."""
        alt = ""
        while line < end and (option := _FIELD.match(self.lines[line])):
            alt = option[2] or "" if option[1] == "alt" else alt
            line += 1
        return line, alt

    def _comment(self, line: int) -> int:
        end = self.end_of_indented(line + 1, self.indent(line) + 1)
        self.hide(line, end)
        self.add("definition", line, end)
        return end

    def _fields(self, line: int) -> int:
        first, name = line, ""
        while line < len(self.lines) and self.lines[line].strip():
            if field := _FIELD.match(self.lines[line]):
                name = field[1].strip().lower()
                self.metadata[name] = (field[2] or "").strip()
            elif name:
                self.metadata[name] = f"{self.metadata[name]} {self.lines[line].strip()}".strip()
            line += 1
        self.hide(first, line)
        self.add("definition", first, line)
        return line

    def _paragraph(self, line: int) -> int:
        is_item = bool(_ITEM.match(self.lines[line]))
        end = line + 1
        while end < len(self.lines) and self._continues(self.lines[end], is_item=is_item):
            end += 1
        borders = [inner for inner in range(line, end) if _is_border(self.lines[inner])]
        for border in borders:
            self.hide(border, border + 1)
        last = self.lines[end - 1].rstrip()
        is_code = self.lines[line].lstrip().startswith(">>>")
        self.add("code" if borders or is_code else "paragraph", line, end)
        if not is_code:
            self.hide_marks(_MARKS, line, end)
        if not last.endswith("::"):
            return end
        keep = 1 if last[:-2].strip() and not last[:-2].endswith(" ") else 0
        self.replace(end - 1, len(last) - 2 + keep, len(last))
        literal = self.end_of_indented(end, self.indent(end - 1) + 1)
        first = next((inner for inner in range(end, literal) if self.lines[inner].strip()), literal)
        self.add("code", first, literal)
        return max(end, literal)

    def _continues(self, content: str, *, is_item: bool) -> bool:
        return bool(content.strip()) and not (_DIRECTIVE.match(content) or (is_item and _ITEM.match(content)))


def _is_border(line: str) -> bool:
    """Return whether a line is a border of a table."""
    return ("--" in line or "==" in line) and not line.strip("-=+| \t")


def _width(text: str) -> int:
    return len(text.strip())
