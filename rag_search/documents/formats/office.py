"""PDF, DOCX and PPTX (extra `office`), as text with marks for title, sections, pages and slides.

    [title: Manual]
    [section 2: Starting the pump]
    [page 7]
    text of the page

A page or slide is the innermost heading of its text, so a hit says on which page it is. PDFium was chosen by
measurement: the same text as pypdf and pdfminer in the same order, 5 and 30 times faster; MuPDF is under the AGPL.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import pairwise
from threading import Lock
from typing import Any

from rag_search.documents.formats.base import DecodingError, ParsedText
from rag_search.documents.formats.line_text import LineText
from rag_search.documents.formats.word import docx_lines
from rag_search.documents.formats.zip_size import BROKEN, check_zip
from rag_search.text.lines import LINE_END
from rag_search.text.passages import one_line

PLACE_LEVEL = 6
MAX_WORD_CHARS = 60
_HYPHEN = "\ufffe"
_MARK = re.compile(
    r"\[(?:title: (?P<title>.+)|section (?P<level>[1-5]): (?P<section>.+)|(?P<place>(?:page|slide) \d+))\]$"
)
_NO_TITLE = re.compile(
    r"untitled|microsoft |power ?point|(?:presentation|word document)$|.*\.(?:docx?|pptx?|tex|indd|dvi)$|\W*$",
    re.IGNORECASE,
)
_pdfium = Lock()  # PDFium is not safe for threads


class _Office:
    """What the three formats share: the text that `decode` makes is read by the marks in it."""

    is_markdown = False
    package = ""

    @property
    def is_installed(self) -> bool:
        """Whether the library that reads these files is installed."""
        return find_spec(self.package) is not None

    def parse(self, text: str) -> ParsedText:
        """Return sections, pages and paragraphs."""
        reader = LineText(text)
        title, line = "", 0
        while line < len(reader.lines):
            mark = _MARK.match(reader.lines[line])
            if mark and mark["title"]:
                title = title or mark["title"]
                reader.hide(line, line + 1)
                reader.add("definition", line, line + 1)
            elif mark:
                group = "section" if mark["section"] else "place"
                reader.replace(line, 0, mark.start(group))
                reader.replace(line, mark.end(group), len(reader.lines[line]))
                content = " ".join(mark[group].split())
                reader.add_heading(line, line + 1, int(mark["level"] or PLACE_LEVEL), content)
            elif reader.lines[line].strip():
                end = line + 1
                while end < len(reader.lines) and reader.lines[end].strip() and not _MARK.match(reader.lines[end]):
                    end += 1
                reader.add("paragraph", line, end)
                line = end - 1
            line += 1
        return ParsedText(title, {}, reader.blocks, reader.edits)


class Pdf(_Office):
    """PDF. Sections are the bookmarks whose title is a line of the page; scanned pages have no text."""

    name = "pdf"
    suffixes = frozenset({".pdf"})
    package = "pypdfium2"

    def decode(self, content: bytes) -> str:
        """Return the text of all pages."""
        from pypdfium2 import PdfDocument, PdfiumError

        try:
            with _pdfium:
                document = PdfDocument(content)
                try:
                    return _clean("\n".join(_pdf_lines(document)))
                finally:
                    document.close()
        except (PdfiumError, ValueError, OSError) as error:
            problem = "is protected by a password." if "password" in str(error).lower() else f"is not a PDF: {error}."
            raise DecodingError(problem, BROKEN) from error


def _title_lines(title: str | None) -> Iterator[str]:
    """Yield the mark of the title in a file's properties, unless a program made it."""
    line = one_line(title or "")
    if not _NO_TITLE.match(line):
        yield f"[title: {line}]"


def _pdf_lines(document: Any) -> Iterator[str]:
    yield from _title_lines(document.get_metadata_dict().get("Title"))
    sections: dict[int, dict[str, tuple[int, str]]] = {}
    for bookmark in document.get_toc(max_depth=5):
        destination, name = bookmark.get_dest(), one_line(bookmark.get_title())
        if destination is not None and name:
            sections.setdefault(destination.get_index() or 0, {})[_key(name)] = (bookmark.level + 1, name)
    for number in range(len(document)):
        page = document[number]
        text_page = page.get_textpage()
        text = text_page.get_text_range()
        text_page.close()
        page.close()
        yield f"[page {number + 1}]"
        on_page = sections.get(number, {})
        for line in LINE_END.split(text):
            if section := on_page.pop(_key(line), None):
                yield f"[section {min(5, section[0])}: {section[1]}]"
                yield f"[page {number + 1}]"
            else:
                yield line
        yield ""


def _key(line: str) -> str:
    """Return the letters of a line without its number, by which a bookmark finds its line."""
    return "".join(re.sub(r"^[\W\d.]+", "", line).casefold().split())


class Docx(_Office):
    """DOCX: paragraphs, headings, lists, tables and notes in their order."""

    name = "docx"
    suffixes = frozenset({".docx"})
    package = "docx"

    def decode(self, content: bytes) -> str:
        """Return the text of the document."""
        check_zip(content)
        from docx import Document

        return _read("DOCX", lambda: _docx_lines(Document(io.BytesIO(content))))


def _docx_lines(document: Any) -> Iterator[str]:
    yield from _title_lines(document.core_properties.title)
    yield from docx_lines(document)


class Pptx(_Office):
    """PPTX: the texts, tables and notes of each slide."""

    name = "pptx"
    suffixes = frozenset({".pptx"})
    package = "pptx"

    def decode(self, content: bytes) -> str:
        """Return the text of all slides."""
        check_zip(content)
        from pptx import Presentation

        return _read("PPTX", lambda: _pptx_lines(Presentation(io.BytesIO(content))))


def _pptx_lines(presentation: Any) -> Iterator[str]:
    yield from _title_lines(presentation.core_properties.title)
    for number, slide in enumerate(presentation.slides, 1):
        heading = slide.shapes.title
        if heading is not None and one_line(heading.text):
            if number == 1:
                yield f"[title: {one_line(heading.text)}]"  # the first title counts
            yield f"[section 1: {one_line(heading.text)}]"
        yield f"[slide {number}]"
        for shape in slide.shapes:
            if shape != heading:
                yield from _shape_lines(shape)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield f"\n{slide.notes_slide.notes_text_frame.text}"
        yield ""


def _shape_lines(shape: Any) -> Iterator[str]:
    """Yield the texts of a shape, of all shapes of a group, and the labels of a diagram or a chart."""
    if hasattr(shape, "shapes"):
        for inner in shape.shapes:
            yield from _shape_lines(inner)
        return
    if shape.has_text_frame:
        yield from (paragraph.text for paragraph in shape.text_frame.paragraphs)
    if getattr(shape, "has_table", False) and shape.has_table:
        yield from (" | ".join(one_line(cell.text) for cell in row.cells) for row in shape.table.rows)
    for part in shape.element.xpath(".//@r:dm | .//c:chart/@r:id"):
        yield from _labels(shape.part.related_part(part).blob)


def _labels(part: bytes) -> Iterator[str]:
    """Yield each text of the XML of a diagram or a chart once: title, names of series and categories, no numbers."""
    from pptx.oxml import parse_xml

    tree = parse_xml(part)
    names = (value for cache in tree.iter("{*}strCache") for value in cache.iter("{*}v"))
    texts = (one_line(node.text or "") for node in (*tree.iter("{*}t"), *names))
    yield from dict.fromkeys(filter(None, texts))


def _read(kind: str, lines: Callable[[], Iterator[str]]) -> str:
    """Return the text of a file. Raises DecodingError whatever its library raises."""
    try:
        return _clean("\n".join(lines()))
    except Exception as error:
        raise DecodingError(f"is not a {kind} file: {one_line(str(error))[:200]}.", BROKEN) from error


def _clean(text: str) -> str:
    """Return text that UTF-8 can hold, with line feeds only."""
    text = LINE_END.sub("\n", text).replace("\0", "").replace("\x0b", "\n")
    text = _with_hyphens(text) if _HYPHEN in text else text
    return text.encode("utf-8", "replace").decode("utf-8").rstrip("\n") + "\n"


def _with_hyphens(text: str) -> str:
    """Return text without PDFium's mark of a hyphen at a line end; compounds and words before a capital keep theirs."""
    first, *others = text.split(_HYPHEN)
    pieces = [first]
    for before, after in pairwise([first, *others]):
        word = before[-MAX_WORD_CHARS:].split(" ")[-1]
        pieces += "-" if "-" in word or after[:1].isupper() else "", after
    return "".join(pieces)
