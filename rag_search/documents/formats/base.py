"""The seam between file types and everything that reads their text: Format, ParsedText, Block, Edit."""

from __future__ import annotations

from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Edit(NamedTuple):
    """Characters [start, end) of a text that a reader sees as `text`."""

    start: int
    end: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines [start, end) of a text, 0-based, and what they are.

    kind: heading paragraph fence code table list item quote box html rule definition.
    level, content: of a heading, its level (1 is the outermost) and its text as a reader sees it.
    children: blocks of a list, an item, a quote or a box (an admonition, a tab), within the lines of their parent.
    """

    kind: str
    start: int
    end: int
    level: int = 0
    content: str = ""
    children: list[Block] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ParsedText:
    """The structure of a text.

    title: the name that the text gives itself in a field or a heading, "" if it has none.
    metadata: what the text says about itself in fields, JSON values only.
    blocks: top-level blocks in order, disjoint; a line that is in no block is blank or hidden by an edit.
    edits: what a reader does not see, or sees in another form.
    problem: what is wrong with the text and cost a part of it, "" if nothing did.
    """

    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    blocks: Sequence[Block] = ()
    edits: Sequence[Edit] = ()
    problem: str = ""


class Format(Protocol):
    """A file type.

    name: stored with each document.
    suffixes: lower case, with the dot.
    is_markdown: the decoded text is Markdown, which the web page renders; it shows other text line by line.
    is_installed: the libraries that the format needs are installed.
    """

    name: str
    suffixes: frozenset[str]
    is_markdown: bool

    @property
    def is_installed(self) -> bool:
        """Whether the libraries that the format needs are installed."""
        ...

    def decode(self, content: bytes) -> str:
        """Return the text in which offsets and lines are counted. Raise DecodingError if there is none."""
        ...

    def parse(self, text: str) -> ParsedText:
        """Return the structure of a decoded text, in linear time and whatever the text is."""
        ...


class DecodingError(ValueError):
    """Bytes that are not a text of this format. remedy: what to do; `FILE` there is replaced by the quoted path."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def decode_text(content: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark.

    Raises:
        DecodingError: another encoding, or a NUL.
    """
    encoding, body, line_feed = "utf-8", content.removeprefix(BOM_UTF8), b"\n"
    for mark, name in ((BOM_UTF16_LE, "utf-16-le"), (BOM_UTF16_BE, "utf-16-be")):
        if content.startswith(mark):
            encoding, body, line_feed = name, content.removeprefix(mark), "\n".encode(name)
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError as error:
        offset = error.start + len(content) - len(body)
        line = body[: error.start].count(line_feed) + 1
        problem = f"is not {encoding.upper()}: byte {offset:,} in line {line:,} is 0x{content[offset]:02x}."
        raise DecodingError(problem, _encoding_remedy(body)) from error
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DecodingError(f"looks binary: a NUL in line {line:,}.", "Exclude it in .ragsearchignore.")
    return text


def _encoding_remedy(body: bytes) -> str:
    try:
        body.decode("gb18030")
    except UnicodeDecodeError:
        return "Save it as UTF-8."
    return "If it is Chinese in GBK, convert it: iconv -f GB18030 -t UTF-8 FILE"
