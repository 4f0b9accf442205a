"""Tell which hits no longer say what their file says."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rag_search.records import Hit, SearchResult
from rag_search.runtime.files import open_regular

MAX_BYTES = 16 * 2**20  # a larger file is compared by nothing: reading it would take as long as the search


class Documents(Protocol):
    """What is asked of an index."""

    def content_hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the SHA-256 of the bytes of each of these documents that is in the index."""
        ...


def mark_changed(result: SearchResult, documents: Documents, base: Path) -> SearchResult:
    """Return the result with `changed` set on hits and near misses whose file changed or vanished since its ingest.

    Texts that were never in a file, such as those of a BEIR corpus, are left alone: their folder does not exist.
    """
    shown = (*result.hits, *result.near_misses)
    if not shown:
        return result
    known = documents.content_hashes([hit.chunk.path for hit in shown])
    marked = tuple(_marked(hit, known.get(hit.chunk.path), base) for hit in shown)
    if not any(hit.changed for hit in marked):
        return result
    border = len(result.hits)
    return replace(result, hits=marked[:border], near_misses=marked[border:])


def _marked(hit: Hit, known: str | None, base: Path) -> Hit:
    """Return the hit, marked if need be. known: SHA-256 of what was ingested; None if it was removed meanwhile."""
    file = base / hit.chunk.path
    try:
        with open_regular(file) as opened:
            if os.fstat(opened.fileno()).st_size > MAX_BYTES:
                return hit
            digest = hashlib.sha256(opened.read(MAX_BYTES)).hexdigest()
    except FileNotFoundError:
        return replace(hit, changed="gone") if file.suffix and _existed(file.parents) else hit
    except (OSError, ValueError):  # unreadable, or not a file any more
        return hit
    return hit if known in (digest, None) else replace(hit, changed="changed")


def _existed(folders: Sequence[Path]) -> bool:
    """Return whether the folder of a file, or the one around it, is there."""
    return any(folder.is_dir() for folder in folders[:2])
