"""Documents and the chunks that partition them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file.

    path: POSIX path, relative to the base folder of the index if the file is below it, else absolute.
    title: front matter `title`, else the first heading, else the file name.
    text: the decoded file without a byte order mark; line ends exactly as in the file.
    metadata: the front matter, JSON values only.
    updated: ISO date (`YYYY-MM-DD`) from the front matter (`updated`, `date`), else from the file's mtime, else "".
    content_hash: SHA-256 of the file's bytes, hexadecimal.
    format: name of the file type, see rag_search.documents.formats.
    updated_from: origin of `updated`: "metadata", "name", "git", "file", or "" for texts.
    """

    path: str
    title: str
    text: str
    metadata: Mapping[str, Any]
    updated: str
    content_hash: str
    format: str = "markdown"
    updated_from: str = "file"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document. The chunks of a document partition it: `text == document.text[start:end]`.

    chunk_id: row of its vector in the index; -1 before it is stored.
    ordinal: 0-based position among the document's chunks.
    heading_path: the headings above it, outermost first, as plain text, without the title of the document.
    start, end: character offsets into `Document.text`.
    line_start, line_end: first and last line that contain a part of the chunk, 1-based, inclusive.
    passage: the text that the models read: title, heading path and cleaned text (made in rag_search.chunking only).
    passage_lines: for every line of the passage the 1-based line of the document that it was made from, 0 for title
        and heading path; () in an index that does not store it.
    """

    path: str
    title: str
    ordinal: int
    text: str
    heading_path: tuple[str, ...]
    start: int
    end: int
    line_start: int
    line_end: int
    passage: str
    chunk_id: int = -1
    passage_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What an index stores of a document besides its text; see Document."""

    path: str
    title: str
    metadata: Mapping[str, Any]
    updated: str
