"""Read a stored passage: its lines below title and heading path, and where they are in the document."""

from __future__ import annotations

import re

from rag_search.records import Chunk
from rag_search.text.data_uris import without_data
from rag_search.text.sanitize import plain

HIDDEN_CHARS = 1_000  # that may stand around what a chunk shows; more are the head, scripts and navigation of a page
LEAD = 2  # lines kept above the first that shows something, such as a heading

_HEADING = re.compile(r" {0,3}(#{1,6}|={2,6}|\*{1,6})[ \t]")  # Markdown and AsciiDoc, AsciiDoc, Org
_ADDRESS = re.compile(r"https?://[^\s<>\"'`|\[\](){}\\^]{3,300}")

Line = tuple[str, int]  # visible text, and the 1-based line of the document in which it begins


def body_of(chunk: Chunk) -> str:
    """Return what a reader sees of a chunk, below title and heading path."""
    return "\n".join(text for text, _ in body_lines(chunk))


def body_lines(chunk: Chunk) -> list[Line]:
    """Return the lines of the chunk's passage below title and heading path, each with its line in the document.

    The line is that of the chunk's beginning if the index does not store `passage_lines`.
    """
    lines = chunk.passage.split("\n")
    if len(chunk.passage_lines) == len(lines):
        return [(text, line) for text, line in zip(lines, chunk.passage_lines, strict=True) if line]
    for part in (chunk.title, *chunk.heading_path[-1:]):
        if len(lines) > 1 and _shows(lines[0], one_line(part)):
            lines.pop(0)
    return [(text, chunk.line_start) for text in lines]


def shown_part(chunk: Chunk) -> tuple[int, int, str]:
    """Return the text of a chunk that is worth showing, as it stands in the file, after its first and last line.

    The head of a web page, its scripts and navigation are part of the nearest chunk, but nothing to read; the text of a
    page that shows only its title is the title, so that it is never blank. base64 of data URIs is cut. All is returned
    if the index has no `passage_lines`.
    """
    from rag_search.text.lines import line_starts  # as in `all_headings`

    text, first = chunk.text, chunk.line_start
    if len(text) <= HIDDEN_CHARS or len(chunk.passage_lines) != chunk.passage.count("\n") + 1:
        return first, chunk.line_end, without_data(text)
    bounds = [*line_starts(text), len(text)]
    shown = [line - first for part, line in body_lines(chunk) if part.strip()]
    if not shown:
        return first, first, chunk.passage
    start, stop = max(0, min(shown) - LEAD), min(max(shown) + 1, len(bounds) - 1)
    if bounds[start] <= HIDDEN_CHARS:
        start = 0
    if len(text) - bounds[stop] <= HIDDEN_CHARS:
        stop = len(bounds) - 1
    return first + start, first + stop - 1, without_data(text[bounds[start] : bounds[stop]])


def all_headings(chunk: Chunk, line: int) -> tuple[str, ...]:
    """Return the heading path of a line of the document: that of the chunk, and the headings in it above the line.

    Small sections share a chunk, whose own path is what they have in common.
    """
    from rag_search.text.lines import LINE_END  # a query that prints data needs no lines

    raw, shown = LINE_END.split(chunk.text), {number: text for text, number in reversed(body_lines(chunk))}
    above: list[tuple[int, str]] = []
    for place, marked in enumerate(raw[: max(0, line - chunk.line_start + 1)]):
        text = shown.get(chunk.line_start + place, "").strip()
        mark = _HEADING.match(marked)
        if text and mark and not text.startswith(mark[1]):
            level = len(mark[1])
            above = [*((other, name) for other, name in above if other < level), (level, text)]
    known = {chunk.title, *chunk.heading_path}
    return (*chunk.heading_path, *(name for _, name in above if name not in known))


def _shows(line: str, part: str) -> bool:
    """Return whether a line of the head is or ends in `part`, whole or cut."""
    return bool(part) and (line.endswith(part) or (line.endswith("…") and part.startswith(line.split(" > ")[-1][:-1])))


def one_line(text: str, chars: int | None = None) -> str:
    """Return `text` without line ends, and with `…` for what goes beyond `chars` characters."""
    line = " ".join(plain(text).split())
    return line if chars is None or len(line) <= chars else line[:chars].rstrip() + "…"


def hidden_addresses(chunk: Chunk) -> list[str]:
    """Return the web addresses of a chunk that its passage does not show: targets of links and pictures."""
    found = dict.fromkeys(_ADDRESS.findall(chunk.text)) if "://" in chunk.text else ()
    return [address for address in found if address not in chunk.passage]
