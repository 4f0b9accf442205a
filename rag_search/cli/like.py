"""`ragsearch query --like PATH:LINE`: a passage as the question."""

from __future__ import annotations

import glob
from dataclasses import replace
from typing import TYPE_CHECKING

from rag_search.cli.common import places
from rag_search.cli.documents import find_lines
from rag_search.errors import InputError
from rag_search.text.passages import body_of

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.records import SearchOptions

MAX_CHARS = 4000  # of the passage: what the models read
LOWEST_SCORE = -1e9  # of any reranker; JSON has no infinity


def passage_at(config: Config, place: str) -> tuple[str, str]:
    """Return the passage at PATH:LINE as a literal question, and the stored path of its document.

    Raises:
        InputError: the index has no such document, or there is no passage at that line.
    """
    from rag_search.engines.open import reading

    with reading(config) as reader:
        document, line, _ = find_lines(reader, places(config), place)
        chunks = reader.document_chunks(document.path)
    text = next((body_of(chunk) for chunk in chunks if chunk.line_start <= line <= chunk.line_end), "").strip()
    if not text:
        raise InputError(f"there is no passage at {place}.", remedy="Use the path and line of a search result.")
    return ("\\" if text.startswith("[") else "") + text[:MAX_CHARS], document.path


def options_like(options: SearchOptions, document: str) -> SearchOptions:
    """Return options that find whatever is nearest, outside of a document: its copies may be the best hits."""
    own = f"!{glob.escape(document)}"
    least = LOWEST_SCORE if options.min_score is None else options.min_score
    return replace(options, paths=(*options.paths, own), min_score=least)
