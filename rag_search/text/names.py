"""Collect the names of a document, which are searched with each of its passages.

A note without a heading is called by its file, a decision by its alias, a release by its folder. None of these is in a
passage, so their terms are added to the terms of every chunk, each once: a tag that many documents share is frequent
then, and BM25 gives it little weight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from rag_search.records import Document
from rag_search.text.terms import terms

NAME_KEYS = ("title", "aliases", "alias", "tags", "tag", "keywords", "description", "id", "slug", "sidebar_label")
MAX_NAME_CHARS = 400  # of a title, a heading or one value: a description is a sentence or two
MAX_VALUES = 50  # of one key
MAX_ADDRESSES = 10  # of a chunk: a list of links is found by its text
FOLDERS = 6  # innermost folders
_VERSION = re.compile(r"(?<!\d)\d++(?:\.(?:\d+|x))+")


def shortened(name: str) -> str:
    """Return a title or heading of at most MAX_NAME_CHARS: each hit repeats it, and each passage its terms."""
    return name if len(name) <= MAX_NAME_CHARS else f"{name[: MAX_NAME_CHARS - 1].rstrip()}…"


def name_text(path: str, title: str, metadata: Mapping[str, Any]) -> str:
    """Return the names of a document, one a line: title, file, folders, and values of NAME_KEYS."""
    return "\n".join(_names(path, title, metadata))


def chunk_terms(document: Document, passage: str, addresses: Sequence[str] = ()) -> str:
    """Return the terms of a chunk, joined by spaces: those of its passage, then once each those of the names.

    addresses: web addresses that the passage does not show, so that a pasted one is found.
    """
    found = terms(passage)
    names = terms(name_text(document.path, document.title, document.metadata))
    names += terms("\n".join(addresses[:MAX_ADDRESSES]))
    present = set(found)
    return " ".join([*found, *(name for name in dict.fromkeys(names) if name not in present)])


def _names(path: str, title: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    place = PurePosixPath(path)
    folders = () if place.is_absolute() else place.parts[-FOLDERS - 1 : -1]  # others say nothing of the document
    yield title
    for name in (place.stem, *folders):
        yield name
        yield from (version for version in _VERSION.findall(name) if version != name)  # a term of its own
    for key in NAME_KEYS:
        yield from (value[:MAX_NAME_CHARS] for value in _values(metadata.get(key)))


def _values(value: Any) -> list[str]:
    """Return the texts of a front matter value."""
    items = value if isinstance(value, list) else [value]
    return [str(item) for item in items[:MAX_VALUES] if isinstance(item, str | int | float) and item is not True]
