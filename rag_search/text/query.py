r"""Parse what a user types: an optional instruction in leading brackets, then the question.

`[面向新手] 如何解决Redis连接超时` asks "如何解决Redis连接超时" under the instruction "面向新手". The instruction steers
engines that can follow one and is never searched as text. A Markdown link (`[text](url)`) is not an instruction, and
`\[` keeps a leading bracket as text. Also parse passages separated by blank lines, and conditions on front matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag_search.errors import InputError
from rag_search.text.sanitize import encodable

MAX_QUERY_CHARS = 20_000
_BRACKETS = re.compile(r"\s*\[([^\[\]]*)\](?!\()\s*")


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. text: never blank. instruction: None without one."""

    text: str
    instruction: str | None = None


def parse_query(raw: str, *, instruction: str | None = None) -> Query:
    """Split `raw` into instruction and text; an explicit `instruction` wins over the brackets.

    Raises InputError if nothing is left to search or the text is longer than MAX_QUERY_CHARS.
    """
    text, found = encodable(raw).replace("\x00", " "), None
    if match := _BRACKETS.match(text):
        text, found = text[match.end() :], match.group(1).strip() or None
    text = re.sub(r"^\s*\\\[", "[", text).strip()
    if not text:
        raise InputError("the query is empty.", remedy="Write a question.")
    if len(text) > MAX_QUERY_CHARS:
        raise InputError(
            f"the query has {len(text):,} characters; the limit is {MAX_QUERY_CHARS:,}.",
            remedy="Search for the sentence that matters.",
        )
    return Query(text, encodable(instruction or "").strip() or found)


def split_passages(text: str) -> list[str]:
    """Split a text into passages at blank lines."""
    return [part.strip() for part in re.split(r"\r?\n[ \t]*\r?\n", text) if part.strip()]


def parse_where(pairs: Iterable[str]) -> dict[str, str]:
    """Parse `key=value` conditions. Raises InputError."""
    conditions = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found or not key.strip():
            raise InputError(f"{pair!r} is not KEY=VALUE.", remedy="Example: category=api")
        conditions[key] = value
    return conditions
