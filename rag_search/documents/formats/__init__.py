"""The file types that can be indexed. To add one: write its module, name it in ALL_FORMATS.

FORMATS has those whose libraries are installed, by suffix.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath

from rag_search.documents.formats.asciidoc import AsciiDoc
from rag_search.documents.formats.base import Block, DecodingError, Edit, Format, ParsedText
from rag_search.documents.formats.html_pages import Html
from rag_search.documents.formats.markdown import Markdown, Mdx
from rag_search.documents.formats.notebook import Notebook
from rag_search.documents.formats.office import Docx, Pdf, Pptx
from rag_search.documents.formats.org import Org
from rag_search.documents.formats.plain_text import PlainText
from rag_search.documents.formats.restructured_text import RestructuredText

__all__ = [
    "ALL_FORMATS",
    "FORMATS",
    "OFFICE_SUFFIXES",
    "Block",
    "DecodingError",
    "Edit",
    "Format",
    "ParsedText",
    "format_named",
    "format_of",
]

ALL_FORMATS: tuple[Format, ...] = (
    Markdown(),
    Mdx(),
    RestructuredText(),
    Notebook(),
    Html(),
    AsciiDoc(),
    Org(),
    Pdf(),
    Docx(),
    Pptx(),
    PlainText(),
)
FORMATS: Mapping[str, Format] = {
    suffix: format_ for format_ in ALL_FORMATS for suffix in format_.suffixes if format_.is_installed
}
OFFICE_SUFFIXES = Pdf.suffixes | Docx.suffixes | Pptx.suffixes


def format_of(path: str) -> Format:
    """Return the format of a file by its suffix; an unknown kind that is to be read is plain text."""
    return FORMATS.get(PurePath(path).suffix.lower()) or format_named(PlainText.name)


def format_named(name: str) -> Format:
    """Return the format that a stored document names; Markdown for a name that this version does not know."""
    return next((format_ for format_ in ALL_FORMATS if format_.name == name), ALL_FORMATS[0])
