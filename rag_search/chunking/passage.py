"""Make the one string that embedder and reranker read: title, heading path, text. No other module makes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from rag_search.records import CountTokens
from rag_search.text.passages import Line, one_line
from rag_search.text.radicals import unify
from rag_search.text.sanitize import plain

HEAD_CHARS = (80, 40, 20, 10)  # tried in turn for title and innermost heading when they take too much of the budget


class Passage(NamedTuple):
    """A passage, and for each of its lines the 1-based line of the document; 0 for title and heading path."""

    text: str
    lines: tuple[int, ...]


def passage_of(head: str, lines: Iterable[Line]) -> Passage:
    """Join a head and the visible lines below it, which are tidied here; either may be empty.

    head: see `heads`.
    """
    body = _tidy(lines)
    above = head.split("\n") if head else []
    text = "\n".join([*above, *(text for text, _ in body)])
    return Passage(unify(text), (*([0] * len(above)), *(line for _, line in body)))


def heads(
    title: str, paths: Iterable[tuple[str, ...]], *, count_tokens: CountTokens, max_tokens: int
) -> Mapping[tuple[str, ...], tuple[str, int]]:
    """Return for each heading path the lines above the text, and their length, at most `max_tokens`.

    From a head that is longer, outer headings are left out one by one; then title and innermost heading are cut to
    80 characters, or 40, 20, 10. If the budget is tiny, only a title remains, cut as far as necessary.
    """
    found: dict[tuple[str, ...], tuple[str, int]] = {}
    waiting = {path: _shorter_and_shorter(title, path) for path in paths}
    while waiting:
        texts = [next(forms, "") for forms in waiting.values()]
        lengths = count_tokens(texts)
        for path, text, length in zip(list(waiting), texts, lengths, strict=True):
            if length <= max_tokens or not text:
                found[path] = text, int(length)
                del waiting[path]
    return found


def _shorter_and_shorter(title: str, path: tuple[str, ...]) -> Iterator[str]:
    for left_out in range(max(1, len(path))):
        yield _head(title, path[left_out:], None)
    for chars in HEAD_CHARS:
        yield _head(title, path[-1:], chars)
    for chars in (*HEAD_CHARS, 5, 2, 1):
        yield _head(title, (), chars)


def _head(title: str, path: tuple[str, ...], chars: int | None) -> str:
    parts = [one_line(part, chars) for part in (title, *path)]
    return "\n".join(line for line in (parts[0], " > ".join(parts[1:])) if line)


def _tidy(lines: Iterable[Line]) -> list[Line]:
    """Keep at most one empty line in a row, none at the ends, and no blanks at line ends; indentation stays."""
    tidy: list[Line] = []
    for text, line in lines:
        for part in plain(text).split("\n"):
            if (bare := part.rstrip()) or (tidy and tidy[-1][0]):
                tidy.append((bare, line))
    if tidy and not tidy[-1][0]:
        tidy.pop()
    return tidy
