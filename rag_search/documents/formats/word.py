"""Read the paragraphs, tables and notes of a DOCX file as a reader of the page sees them.

`paragraph.text` of python-docx (1.2) leaves out text that was inserted under tracked changes, content controls (cover
pages, templates), text boxes, equations and notes; its cells repeat merged ones. So the elements are walked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from rag_search.text.passages import one_line

_MAIN = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"  # says what the choice says
_VALUE = f"{_MAIN}val"
_TEXT_BOX = f"{_MAIN}txbxContent"
# What the page does not show: removed and moved text, properties, the copy of a drawing for old programs.
_HIDDEN = frozenset({*(f"{_MAIN}{name}" for name in ("del", "moveFrom", "pPr", "sdtPr", "tblPr")), _FALLBACK})
_GLYPHS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NOTES = {"footnoteReference": "footnote", "endnoteReference": "endnote"}
_HEADING = re.compile(r"(?:heading|berschrift) (\d)$", re.IGNORECASE)
BODY_LEVEL = 9  # the outline level of text that is not a heading, counted from 0

Notes = Mapping[tuple[str, str], str]


def docx_lines(document: Any) -> Iterator[str]:
    """Yield the lines of a document of python-docx, with the marks that office.py describes."""
    yield from _Walk(document, _notes(document)).lines(document.element.body)


class _Walk:
    """Walks the elements of one document in the order of the page."""

    def __init__(self, document: Any, notes: Notes) -> None:
        self._styles = {style.style_id: style for style in document.styles}
        self._notes = notes

    def lines(self, parent: Any) -> Iterator[str]:
        """Yield the lines of the paragraphs and tables in an element."""
        for element in parent:
            if element.tag == f"{_MAIN}p":
                yield from self._paragraph(element)
            elif element.tag == f"{_MAIN}tbl":
                yield from self._table(element)
            elif _is_shown(element):  # a content control, a tracked change
                yield from self.lines(element)

    def _paragraph(self, paragraph: Any) -> Iterator[str]:
        boxes: list[Any] = []
        marks: list[tuple[str, str]] = []
        text = "".join(_runs(paragraph, boxes, marks)).strip()
        if text:
            yield self._marked(paragraph, text)
        for box in boxes:
            yield from self.lines(box)
        for mark in marks:
            if note := self._notes.get(mark):
                yield f"{note}\n"

    def _marked(self, paragraph: Any, text: str) -> str:
        names, level = self._style(paragraph)
        if "title" in names:
            return f"[title: {one_line(text)}]"
        if level is not None:
            return f"[section {max(1, min(5, level))}: {one_line(text)}]"
        listed = (
            any(name.startswith("list") for name in names) or next(paragraph.iter(f"{_MAIN}numPr"), None) is not None
        )
        return f"- {text}" if listed else f"{text}\n"

    def _style(self, paragraph: Any) -> tuple[list[str], int | None]:
        """Return the names of a paragraph's style and of those that it is based on, and the level of a heading."""
        properties = paragraph.find(f"{_MAIN}pPr")
        named = None if properties is None else properties.find(f"{_MAIN}pStyle")
        style = None if named is None else self._styles.get(named.get(_VALUE))
        names: list[str] = []
        outline = _outline_level(properties)
        while style is not None and len(names) < 12:  # a damaged file may name a circle of styles
            names.append(str(style.name or "").lower())
            outline = _outline_level(style.element.pPr) if outline is None else outline
            style = getattr(style, "base_style", None)
        level = next((int(found[1]) for name in names if (found := _HEADING.search(name))), None)
        if level is None and outline is not None and outline < BODY_LEVEL:
            level = outline + 1
        return names, level

    def _table(self, table: Any) -> Iterator[str]:
        for row in _inner(table, "tr"):
            if row.find(f"{_MAIN}trPr/{_MAIN}del") is None:
                cells = (one_line(" ".join(self.lines(cell))) for cell in _inner(row, "tc"))
                yield " | ".join(cells)
        yield ""


def _runs(parent: Any, boxes: list[Any], marks: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the text of a paragraph; add its text boxes to `boxes` and its notes (kind, id) to `marks`."""
    for element in parent:
        tag = element.tag if isinstance(element.tag, str) else ""
        name = tag.removeprefix(_MAIN)
        if tag == _TEXT_BOX:
            boxes.append(element)
        elif name == "t" or tag == f"{_MATH}t":
            yield element.text or ""
        elif name in _GLYPHS:
            yield _GLYPHS[name]
        elif name in _NOTES:
            marks.append((_NOTES[name], element.get(f"{_MAIN}id")))
        elif tag == f"{_DRAWING}docPr":
            yield element.get("descr") or ""
        elif _is_shown(element):
            yield from _runs(element, boxes, marks)


def _is_shown(element: Any) -> bool:
    """Return whether a page shows what is in an element; of runs, those that are not hidden text."""
    if element.tag in _HIDDEN or not isinstance(element.tag, str):
        return False
    hidden = element.find(f"{_MAIN}rPr/{_MAIN}vanish") if element.tag == f"{_MAIN}r" else None
    return hidden is None or hidden.get(_VALUE) in {"0", "false", "off"}


def _inner(parent: Any, name: str) -> Iterator[Any]:
    """Yield the rows of a table or the cells of a row, those in content controls, too; not those of inner tables."""
    for element in parent:
        if element.tag == f"{_MAIN}{name}":
            yield element
        elif _is_shown(element):
            yield from _inner(element, name)


def _outline_level(properties: Any) -> int | None:
    found = None if properties is None else properties.find(f"{_MAIN}outlineLvl")
    value = "" if found is None else found.get(_VALUE) or ""
    return int(value) if value.isdecimal() else None


def _notes(document: Any) -> Notes:
    """Return the text of each footnote and endnote by kind and id."""
    from docx.oxml import parse_xml

    found: dict[tuple[str, str], str] = {}
    for relation in document.part.rels.values():
        kind = relation.reltype.rpartition("/")[2].removesuffix("s")
        if kind in _NOTES.values() and not relation.is_external:
            for note in parse_xml(relation.target_part.blob).iter(f"{_MAIN}{kind}"):
                found[kind, note.get(f"{_MAIN}id")] = one_line(" ".join(_runs(note, [], [])))
    return found
