"""Read marks of one character that some programs know: highlights, comments, icons, addresses, LaTeX, directives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rag_search.documents.formats.base import Edit
from rag_search.documents.formats.markdown.tags import attribute_text

if TYPE_CHECKING:
    from rag_search.documents.formats.markdown.tags import Replacement

_MARKED = re.compile(r"==(?=[^\s=])[^=\r\n]{1,500}(?<!\s)==(?!=)")
_COMMENT = re.compile(r"%%(?!%)[^%]{0,2000}%%(?!\w)")
_ICON = re.compile(r":(?:material|octicons|fontawesome|simple)-[a-z0-9-]{1,80}:(?:\{[^{}\r\n]{0,100}\})?")
_ADDRESS = re.compile(
    r"<(?:([A-Za-z][A-Za-z0-9+.-]{1,31}):([^\s<>]{1,2000})|([\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-][\w.-]{0,250}))>"
)
_PAGES = frozenset({"doc", "xref"})  # DocC and docfx: the name of a page in place of an address
_LATEX = re.compile(  # Pandoc and bookdown: for print only, or a number that is not in the source
    r"\\(?:index\w{0,8}|label)\{(?:[^{}\r\n]|\{[^{}\r\n]{0,200}\}){0,300}\}|\\@ref\([\w:.-]{1,100}\)"
    r"|(?<!\S)\\(?:newpage|pagebreak|clearpage|tableofcontents|noindent)(?!\S)"
)
LATEX_STARTS = frozenset("@cilnpt")  # of these commands, after the backslash
_DIRECTIVE = re.compile(  # remark, MDC: `:abbr[HTML]{title="..."}`, `:icon{name=x}`
    r":([a-z][a-z0-9-]{0,40})(?:\[([^\[\]\r\n]{0,300})\](?:\{[^{}\r\n]{0,300}\})?|\{([#.][^{}\r\n]{0,300}|[^{}\r\n]{1,60}=[^{}\r\n]{0,300})\})"
)


def read_pair(text: str, start: int, end: int, *, begin: int) -> list[Edit]:
    """Return the edits of `==highlighted==` text, and of an Obsidian `%%comment%%`, [] if neither is at `start`.

    begin: offset of the stretch.
    """
    before = text[start - 1] if start > begin else " "
    if text[start] == "%":
        comment = None if before.isalnum() else _COMMENT.match(text, start, end)
        return [Edit(*comment.span())] if comment else []
    if (before.isascii() and before.isalnum()) or before in "=!<>":
        return []
    if not (match := _MARKED.match(text, start, end)):
        return []
    return [Edit(start, start + 2), Edit(match.end() - 2, match.end())]


def read_colon(text: str, start: int, end: int, *, begin: int) -> Replacement | None:
    """Return the end and the visible text of an icon or a directive at `start`, None if there is none."""
    if icon := _ICON.match(text, start, end):
        return icon.end(), ""
    before = text[start - 1] if start > begin else " "
    match = None if before.isalnum() or before in ":`" else _DIRECTIVE.match(text, start, end)
    if match is None:
        return None
    if match[2] is not None:
        return match.end(), match[2]
    return match.end(), "" if "icon" in match[1] else attribute_text(match[3])


def read_address(text: str, start: int, end: int) -> Replacement | None:
    """Return the end and the visible text of `<https://...>` or `<a@b.example>` at `start`, None if there is none."""
    match = _ADDRESS.match(text, start, end)
    if match is None:
        return None
    scheme, rest, mail = match.groups()
    if mail or scheme.lower() == "mailto":
        return match.end(), mail or rest
    return match.end(), rest.partition("?")[0] if scheme.lower() in _PAGES else f"{scheme}:{rest}"


def read_latex(text: str, start: int, end: int) -> Replacement | None:
    """Return the end of a LaTeX command at `start` of which a page shows nothing, None if there is none."""
    match = _LATEX.match(text, start, end)
    return (match.end(), "") if match else None
