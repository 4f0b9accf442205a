"""The one string that embedder and reranker read: title, heading path, text. Made here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rag_search.records import CountTokens
from rag_search.text.sanitize import plain

HEAD_CHARS = (80, 40, 20, 10)  # tried in turn for title and innermost heading when they take too much of the budget


def passage_of(head: str, text: str) -> str:
    """head: see `heads`. text: visible text, tidied here; both may be empty."""
    body = _tidy(text)
    return f"{head}\n{body}" if head and body else head or body


def heads(
    title: str, paths: Iterable[tuple[str, ...]], *, count_tokens: CountTokens, max_tokens: int
) -> Mapping[tuple[str, ...], tuple[str, int]]:
    """For each heading path the lines above the text, and their length in tokens, never more than `max_tokens`.

    From a head that is longer, outer headings are left out one by one; then title and innermost heading are cut to
    80 characters, or 40, 20, 10; failing that (a tiny budget) only the title is left, cut as far as it needs.
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


def one_line(text: str, chars: int | None = None) -> str:
    """`text` without line ends, and with `…` for what goes beyond `chars` characters."""
    line = " ".join(plain(text).split())
    return line if chars is None or len(line) <= chars else line[:chars].rstrip() + "…"


def _tidy(text: str) -> str:
    """At most one empty line in a row, no blanks at line ends; the indentation of code stays."""
    lines = (line.rstrip() for line in plain(text).split("\n"))
    tidy: list[str] = []
    for line in lines:
        if line or (tidy and tidy[-1]):
            tidy.append(line)
    return "\n".join(tidy).strip("\n")
