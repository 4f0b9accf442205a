r"""Parse what a user types: an optional instruction in leading brackets, then the question.

`[面向新手] 如何解决Redis连接超时` asks "如何解决Redis连接超时" under the instruction "面向新手". The instruction steers
the ranking and is never searched as text. Not an instruction: a Markdown link (`[text](url)`)
and what `is_instruction` takes for text; `\[` keeps any leading bracket as text. Also parse passages
separated by blank lines, and conditions on front matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rag_search.errors import InputError
from rag_search.text.radicals import unify
from rag_search.text.sanitize import encodable

MAX_QUERY_CHARS = 20_000
_BRACKETS = re.compile(r"\s*\[([^\[\]]*)\](?![(\[\]])\s*")
# In brackets, but not an instruction: a code with its number, a time, a word in capitals, a key or a path, a level.
_LITERAL = re.compile(
    r"[A-Za-z_]+[ :#-]?\d+|[\d\s:.,/+TZ-]+|[A-Z][A-Z0-9_-]*|[\w-]*[._/\\:=<>#@|&^*]\S*"
    r"|(?i:error|warn|warning|info|debug|trace|fatal|critical|notice|fail|failed|failure|ok)",
    re.ASCII,
)
_DATED = re.compile(r"(?:(?:before|after|since|until|from|in|by|of)\s+)?(?:19|20)\d\d", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. text: never blank. instruction: None without one. is_bracketed: it stood in leading brackets."""

    text: str
    instruction: str | None = None
    is_bracketed: bool = False


def parse_query(raw: str, *, instruction: str | None = None) -> Query:
    """Split `raw` into instruction and text; an explicit `instruction` wins over the brackets.

    Raises InputError if nothing is left to search or the text is longer than MAX_QUERY_CHARS.
    """
    text, found = encodable(unify(raw)).replace("\x00", " "), None
    if (match := _BRACKETS.match(text)) and is_instruction(match[1]):
        found = match[1].strip() or None
        text = text[match.end() :] if found else text[match.end() :] or text  # `[]` alone is searched
    text = re.sub(r"^\s*\\\[", "[", text).strip()
    if not text and found:
        remedy = f"Write a question after it, or \\[{found}] to search for it."
        raise InputError(f"the query is empty after its instruction [{found}].", remedy=remedy)
    if not text:
        raise InputError("the query is empty.", remedy="Write a question.")
    if len(text) > MAX_QUERY_CHARS:
        raise InputError(
            f"the query has {len(text):,} characters; the limit is {MAX_QUERY_CHARS:,}.",
            remedy="Search for the sentence that matters.",
        )
    explicit = encodable(instruction or "").strip()
    return Query(text, explicit or found, is_bracketed=not explicit and found is not None)


def is_instruction(bracketed: str) -> bool:
    """Return whether the text in leading brackets is an instruction, rather than a part of what is searched.

    `[Errno 28]`, `[tool.uv]`, `[ERROR]` and `[12:30:05]` are text. `[for beginners]`, `[before 2022]` and
    `[2024年最新]` are instructions.
    """
    text = bracketed.strip()
    return bool(_DATED.fullmatch(text)) or not _LITERAL.fullmatch(text)


def split_passages(text: str) -> list[str]:
    """Split a text into passages at blank lines."""
    return [part.strip() for part in re.split(r"\r?\n[ \t]*\r?\n", text) if part.strip()]


def parse_where(pairs: Iterable[str]) -> dict[str, str]:
    """Parse `key=value` conditions. Raises InputError, also for a key with two values: both would have to hold."""
    conditions: dict[str, str] = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found or not key.strip():
            raise InputError(f"{pair!r} is not KEY=VALUE.", remedy="Example: category=api")
        if conditions.setdefault(key, value) != value:
            both = f"{conditions[key]!r} and {value!r}"
            raise InputError(f"{key!r} is given twice, as {both}.", remedy="Give each key once.")
    return conditions
