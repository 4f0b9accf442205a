"""Questions of `ragsearch query`: from the words typed, from stdin, or from a batch file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rag_search.cli.common import read_text
from rag_search.cli.terminal import local_only
from rag_search.errors import InputError

Query = tuple[str, str]  # id, text


def read_queries(words: Sequence[str], batch: Path | None) -> list[Query]:
    """Return (id, question) pairs. Without words and batch file the question is what is piped in.

    Raises:
        InputError: there is no question, or there are words and a batch file.
    """
    if words and batch:
        raise InputError("give one question, or --batch FILE, not both.", remedy="Remove one of them.")
    if batch:
        return _read_batch(batch)
    if list(words) == ["-"]:
        return [("1", read_text("-"))]
    if words:
        return [("1", " ".join(words))]
    if question := _piped():
        return [("1", question)]
    raise InputError("give one question, or --batch FILE.", remedy="Example: ragsearch query how do I rotate the keys")


def _piped() -> str:
    """Return what is piped in; empty on a terminal."""
    local_only()
    try:
        return "" if sys.stdin.isatty() else sys.stdin.read().removeprefix("\ufeff").strip()
    except (OSError, ValueError, AttributeError):  # stdin is closed
        return ""


def _read_batch(batch: Path) -> list[Query]:
    lines = [line.strip() for line in read_text(str(batch)).split("\n") if line.strip()]
    if not lines:
        raise InputError(f"{batch} has no queries.", remedy="Write one query a line.")
    return [_batch_line(line, number) for number, line in enumerate(lines, 1)]


def _batch_line(line: str, number: int) -> Query:
    if not line.startswith("{"):
        return str(number), line
    try:
        row = json.loads(line)
        return str(row.get("_id", number)), str(row["text"])
    except (ValueError, KeyError, RecursionError) as error:
        raise InputError(
            f"query {number} of the batch is not JSON with a field `text`: {error}.",
            remedy='Write {"text": "..."} on its line, or the question alone.',
        ) from error


def require_distinct(query_ids: Sequence[str]) -> None:
    """Raise InputError if two queries share an id: a run file has one ranking per id."""
    seen: set[str] = set()
    for query_id in query_ids:
        if query_id in seen:
            raise InputError(f"two queries of the batch have the id {query_id!r}.", remedy="Give each its own `_id`.")
        seen.add(query_id)
