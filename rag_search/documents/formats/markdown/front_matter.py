"""Find front matter: YAML between two lines of dashes at the very top of a file."""

from __future__ import annotations

import re
from typing import NamedTuple

_OPENING = re.compile(r"---[ \t]*(?:\r\n?|\n)(?![ \t]*[\r\n])")
_CLOSING = re.compile(r"(?:\r\n?|\n|(?<=[\r\n]))(?:---|\.\.\.)[ \t]*(?:\r\n?|\n|\Z)")

_FIRST_KEY = re.compile(r"(?:[ \t]*(?:#[^\r\n]*)?(?:\r\n?|\n))*[\w\"'][^\r\n:]*:(?:[ \t\r\n]|\Z)")


class FrontMatter(NamedTuple):
    """Front matter. yaml: the text between the dashes. end: offset after the closing line."""

    yaml: str
    end: int


def front_matter(text: str) -> FrontMatter:
    """Return the front matter of `text`; `FrontMatter("", 0)` without one, or if it is never closed.

    A file may also begin with a horizontal rule, so a key or the closing line must follow the dashes.
    """
    if not (opening := _OPENING.match(text)):
        return FrontMatter("", 0)
    if not (closing := _CLOSING.search(text, opening.end() - 1)):
        return FrontMatter("", 0)
    yaml = text[opening.end() : max(opening.end(), closing.start())]
    if yaml.strip() and not _FIRST_KEY.match(yaml):
        return FrontMatter("", 0)
    return FrontMatter(yaml, closing.end())
