"""Show why a chunk was found: a window around the sentence that shares most with the query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from rag_search.text.sanitize import plain
from rag_search.text.sentences import WIDE_STOPS, split_sentences
from rag_search.text.terms import terms

QUERY_CHARS = 400  # of a query that is highlighted: each term is a pass over the text
# words of a question that say nothing about a passage which has them
_COMMON = (
    "an and are as at be by can do does for from has have how if in is it its my not of on or our that the their this "
    "to was we what when where which who why will with you your"
)
COMMON_WORDS = frozenset(_COMMON.split())

_FENCE = re.compile(r"`{3,}[^`]*$|~{3,}")
_ONLY_MARKS = re.compile(r"[-|:=\s`~+*#]*")
_LIST_MARK = re.compile(r"^(?:[-*+]|\d+[.)])\s+")


def snippet(text: str, query: str, *, cells: int = 240, sentence: str = "") -> str:
    """Return one line of the best sentence and its neighbours, safe to print, with `…` where it was cut.

    It begins with the best sentence and continues to the end; sentences before it fill the room that is left.
    text: what a reader sees, see `text.passages.body_of`. sentence: the best one; "": that with most words of `query`.
    cells: width in terminal cells; a CJK character takes two.
    """
    return snippet_with_best(text, query, cells=cells, sentence=sentence)[0]


def snippet_with_best(text: str, query: str, *, cells: int = 240, sentence: str = "") -> tuple[str, tuple[int, int]]:
    """Return the snippet, and the span of the best sentence in it."""
    sentences = _sentences(text)
    if not sentences:
        return "", (0, 0)
    start = best = _index_of(sentences, sentence, query)
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
    """Add the space before the next sentence; a full-width mark brings its own."""
    return sentence if sentence.endswith(tuple(WIDE_STOPS)) else f"{sentence} "


def highlights(text: str, query: str) -> Iterator[tuple[int, int]]:
    """Yield spans of `text` that are in the head of the query: whole words, and at least two CJK characters.

    Common English words are left out.
    """
    query_terms = {term for term in terms(query[:QUERY_CHARS]) if len(term) > 1 and term not in COMMON_WORDS}
    for pattern in sorted((re.escape(term) for term in query_terms), key=len, reverse=True):
        bounded = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])" if pattern.isascii() else pattern
        yield from (match.span() for match in re.finditer(bounded, text, re.IGNORECASE))


def _sentences(text: str) -> list[str]:
    """Return the sentences of visible text without list marks, fence lines and table rules; code lines stay whole."""
    found: list[str] = []
    in_code = False
    for line in plain(text).split("\n"):
        bare = " ".join(line.split())
        if _FENCE.match(bare):
            in_code = not in_code
        elif in_code:
            found += [bare] if bare else []
        elif not _ONLY_MARKS.fullmatch(bare):
            found += split_sentences(_LIST_MARK.sub("", bare))
    return found


def _index_of(sentences: Sequence[str], sentence: str, query: str) -> int:
    """Return the index of `sentence`, or of the one with most words of the query if it is not there."""
    bare = _LIST_MARK.sub("", " ".join(plain(sentence).split()))
    return sentences.index(bare) if bare in sentences else _best(sentences, query)


def _best(sentences: Sequence[str], query: str) -> int:
    """Return the index of the first sentence that shares the most letters of terms with the query."""
    query_terms = set(terms(query))
    weights = [sum(len(term) for term in query_terms.intersection(terms(sentence))) for sentence in sentences]
    return max(range(len(sentences)), key=lambda i: (weights[i], -i))


def _cut(text: str, cells: int, *, more: bool) -> str:
    """Cut `text` to `cells`, with an ellipsis if anything is missing after it."""
    if cell_len(text) <= cells - 2:
        return text + (" …" if more else "")
    return set_cell_size(text, cells - 1).rstrip() + "…"
