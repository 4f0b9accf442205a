"""The tags of an HTML page, with offsets into its source.

No library is used: parsers that build a tree keep no offsets, and those that do (html.parser, tree-sitter) take
quadratic time for comments that are never closed. Tags are enough here, a tree is not needed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import NamedTuple

from rag_search.documents.formats.base import Edit

_TOKEN = re.compile(r"<!--|<[!?]|<(/?)([A-Za-z][\w:-]{0,60})((?:[^<>\"']|\"[^\"]{0,5000}\"|'[^']{0,5000}'){0,5000}+)>")
_ATTRIBUTE = re.compile(
    r"""([\w:-]{1,60})[ \t\r\n]*=[ \t\r\n]*(?:"([^"]{0,5000})"|'([^']{0,5000})'|([^\s"'>]{1,500}))"""
)
_RAW = frozenset({"script", "style", "textarea"})


class Tag(NamedTuple):
    """A tag at characters [start, end): its name in lower case, and its attributes as they stand there."""

    start: int
    end: int
    name: str
    is_end: bool
    attributes: str


def tags_of(text: str) -> tuple[list[Tag], list[Edit]]:
    """Return the tags of a page, and edits for its comments and declarations."""
    tags: list[Tag] = []
    hidden: list[Edit] = []
    position, unclosed, lower = 0, set[str](), text.lower()
    while match := _TOKEN.search(text, position):
        position = match.end()
        closing = ""
        if match[2] is None:
            closing = "-->" if match[0] == "<!--" else ">"
        elif match[2].lower() in _RAW and not match[1]:
            closing = f"</{match[2].lower()}"
        if match[2] is not None:
            tags.append(Tag(match.start(), match.end(), match[2].lower(), bool(match[1]), match[3]))
        if not closing or closing in unclosed:
            continue
        found = lower.find(closing, position)
        if found < 0:
            unclosed.add(closing)
        elif match[2] is None:
            position = found + len(closing)
            hidden.append(Edit(match.start(), position))
        else:
            hidden.append(Edit(position, found))
            position = found
    return tags, hidden


def pairs_of(tags: Sequence[Tag]) -> dict[int, int]:
    """Return the position of the end tag of each start tag that has one."""
    opened: dict[str, list[int]] = {}
    pairs: dict[int, int] = {}
    for position, tag in enumerate(tags):
        if not tag.is_end:
            opened.setdefault(tag.name, []).append(position)
        elif opened.get(tag.name):
            pairs[opened[tag.name].pop()] = position
    return pairs


def attributes_of(text: str) -> dict[str, str]:
    """Return the attributes in a tag, values without references."""
    return {
        match[1].lower(): html.unescape(match[2] or match[3] or match[4] or "") for match in _ATTRIBUTE.finditer(text)
    }
