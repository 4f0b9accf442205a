"""The few lines of a chunk that show why it is here: a window around the sentence that shares most with the query."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rag_search.lexical import terms
from rag_search.text import plain

_SENTENCE_END = re.compile(r"(?<=[。！？；])|(?<=[.!?;])\s+|\n+")
_FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def snippet(text: str, query: str, *, width: int = 240) -> str:
    """At most about `width` characters of `text` on one line, safe for a terminal, with `…` where it was cut."""
    sentences = _sentences(text)
    if not sentences:
        return ""
    best = _best(sentences, query)
    start = stop = best
    size = len(sentences[best])
    while size < width and (stop + 1 < len(sentences) or start > 0):
        grow_down = stop + 1 < len(sentences)
        if grow_down:
            stop += 1
        else:
            start -= 1
        size += len(sentences[stop if grow_down else start]) + 1
    window = _cut(" ".join(sentences[start : stop + 1]), width)
    more_after = stop + 1 < len(sentences) and not window.endswith("…")
    return ("… " if start > 0 else "") + window + (" …" if more_after else "")


def highlights(text: str, query: str) -> Iterator[tuple[int, int]]:
    """Spans of `text` that the query names: whole words, and runs of at least two CJK characters."""
    wanted = {term for term in terms(query) if len(term) > 1}
    for pattern in sorted((re.escape(term) for term in wanted), key=len, reverse=True):
        bounded = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])" if pattern.isascii() else pattern
        yield from (match.span() for match in re.finditer(bounded, text, re.IGNORECASE))


def _sentences(text: str) -> list[str]:
    body = _FRONT_MATTER.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    parts = (_strip_markup(plain(part)) for part in _SENTENCE_END.split(body))
    return [part for part in parts if part]


def _strip_markup(line: str) -> str:
    """One line without heading marks, list bullets, table rules and fence lines."""
    line = " ".join(line.split())
    if re.fullmatch(r"[-|:=\s`~+*#]*", line) or line.startswith(("```", "~~~")):
        return ""
    return re.sub(r"^(#{1,6}|[-*+>]|\d+[.)])\s+", "", line).strip("| ")


def _best(sentences: Sequence[str], query: str) -> int:
    """Index of the sentence that shares the largest weight of terms; long terms weigh more; the first one wins ties."""
    wanted = set(terms(query))
    weights = [sum(len(term) for term in wanted.intersection(terms(sentence))) for sentence in sentences]
    return max(range(len(sentences)), key=lambda i: (weights[i], -i))


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"
