"""The folders and files that an index is kept equal to: their stored and their absolute form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rag_search.index import IndexReader, IndexWriter


def absolute(roots: Iterable[Path]) -> list[Path]:
    """Return absolute paths as `walk` names them."""
    return [Path(os.path.abspath(root.expanduser())) for root in roots]  # noqa: PTH100 (`absolute` keeps `..`)


def stored_root(root: Path, base: Path) -> str:
    """Return the stored form of a root: relative to `base` below it, so that both can be moved, else absolute."""
    return (root.relative_to(base) if root.is_relative_to(base) else root).as_posix()


def known_roots(index: IndexReader | IndexWriter, *, base: Path) -> list[Path]:
    """Return the roots as absolute paths.

    Indexes without a recorded base folder stored absolute roots; if the project has moved since, the roots are
    inferred from the stored document paths.
    """
    roots = index.roots()
    if index.base() is not None:
        return [base / root for root in roots]
    documents = list(index.files())
    inside = [path for path in documents if not path.startswith("/")]
    places = [_place(root, base, documents) for root in roots]
    covered = [place for place in places if place.is_relative_to(base)]
    if any(not any((base / path).is_relative_to(place) for place in covered) for path in inside):
        # only the former base itself is left as the root of these documents
        places = [place if place in covered or _has_documents(str(place), documents) else base for place in places]
    return list(dict.fromkeys(places))


def merged_roots(known: Sequence[Path], named: Sequence[Path], *, base: Path, prune: bool) -> list[str]:
    """Return the roots to store, in their stored form. prune: only those named now."""
    return sorted({stored_root(root, base) for root in (*absolute(named), *(() if prune else known))})


def _place(root: str, base: Path, documents: Sequence[str]) -> Path:
    """Return `root`, or its place below `base` when documents are stored there and none below `root`."""
    place = base / root
    if place.is_relative_to(base) or _has_documents(root, documents):
        return place
    parts = Path(root).parts
    ends = ("/".join(parts[i:]) for i in range(1, len(parts)))
    return next((base / end for end in ends if _has_documents(end, documents)), place)


def _has_documents(root: str, documents: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for path in documents)
