"""The few lines of a chunk that show why it is here: a window around the sentence that shares most with the query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from rag_search.documents.formats.markdown.front_matter import front_matter
from rag_search.text.sanitize import plain
from rag_search.text.terms import terms

QUERY_CHARS = 400  # of the query that are looked for to highlight words: each term is a pass over the text

_WIDE_ENDS = tuple("。！？；")
_SENTENCE_END = re.compile(rf"(?<=[{''.join(_WIDE_ENDS)}])|(?<=[.!?;])\s+|\n+")
_LEADING_HEADINGS = re.compile(r"\A(\s*#{1,6}[ \t][^\n]*(\n|\Z))+")  # shown above the snippet already

_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
_BOLD = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")  # not __: identifiers have it


def snippet(text: str, query: str, *, cells: int = 240) -> str:
    """One line of at most `cells` terminal cells (a CJK character takes two), safe to print, `…` where it was cut.

    It starts at the best sentence and takes in what follows; what stands before it only when there is room left.
    """
    return snippet_with_best(text, query, cells=cells)[0]


def snippet_with_best(text: str, query: str, *, cells: int = 240) -> tuple[str, tuple[int, int]]:
    """The snippet, and the span of the best sentence in it."""
    sentences = _sentences(text)
    if not sentences:
        return "", (0, 0)
    start = best = _best(sentences, query)
    stop = start + 1
    room = cells - 4 - cell_len(sentences[start])
    while stop < len(sentences) and room > 0:
        room -= cell_len(sentences[stop]) + 1
        stop += 1
    while start > 0 and room > cell_len(sentences[start - 1]):
        start -= 1
        room -= cell_len(sentences[start]) + 1
    lead = "… " if start > 0 else ""
    before = "".join(map(_spaced, sentences[start:best]))
    shown = before + "".join(map(_spaced, sentences[best:stop])).rstrip()
    line = lead + _cut(shown, cells - cell_len(lead), more=stop < len(sentences))
    offset = len(lead) + len(before)
    return line, (offset, min(offset + len(sentences[best]), len(line)))


def _spaced(sentence: str) -> str:
    """With what parts it from the next one: a full-width mark has room of its own."""
    return sentence if sentence.endswith(_WIDE_ENDS) else f"{sentence} "


def highlights(text: str, query: str) -> Iterator[tuple[int, int]]:
    """Spans of `text` that the head of the query names: whole words, and runs of at least two CJK characters."""
    wanted = {term for term in terms(query[:QUERY_CHARS]) if len(term) > 1}
    for pattern in sorted((re.escape(term) for term in wanted), key=len, reverse=True):
        bounded = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])" if pattern.isascii() else pattern
        yield from (match.span() for match in re.finditer(bounded, text, re.IGNORECASE))


def _sentences(text: str) -> list[str]:
    body = text[front_matter(text).end :].replace("\r\n", "\n").replace("\r", "\n")
    body = _LEADING_HEADINGS.sub("", body) or body
    parts = (_strip_markup(plain(part)) for part in _SENTENCE_END.split(body))
    return [part for part in parts if part]


def _strip_markup(line: str) -> str:
    """One line without marks of headings, lists, bold and links; blank for table rules and fence lines."""
    line = " ".join(line.split())
    if re.fullmatch(r"[-|:=\s`~+*#]*", line) or line.startswith(("```", "~~~")):
        return ""
    line = _LINK.sub(r"\1", _BOLD.sub(r"\1", line))
    return re.sub(r"^(#{1,6}|[-*+>]|\d+[.)])\s+", "", line).strip("| ")


def _best(sentences: Sequence[str], query: str) -> int:
    """Index of the sentence that shares the largest weight of terms; long terms weigh more; the first one wins ties."""
    wanted = set(terms(query))
    weights = [sum(len(term) for term in wanted.intersection(terms(sentence))) for sentence in sentences]
    return max(range(len(sentences)), key=lambda i: (weights[i], -i))


def _cut(text: str, cells: int, *, more: bool) -> str:
    """`text` in `cells`, with an ellipsis when something is missing after it."""
    if cell_len(text) <= cells - 2:
        return text + (" …" if more else "")
    return set_cell_size(text, cells - 1).rstrip() + "…"
