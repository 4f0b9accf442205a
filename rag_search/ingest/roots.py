"""The folders and files that an index is kept equal to, as they are stored and where they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rag_search.index import IndexReader, IndexWriter


def absolute(roots: Iterable[Path]) -> list[Path]:
    """As `walk` names them."""
    return [Path(os.path.abspath(root.expanduser())) for root in roots]  # noqa: PTH100 (`absolute` keeps `..`)


def stored_root(root: Path, base: Path) -> str:
    """As paths of documents are stored: relative to `base` when it lies there, so that both can be moved."""
    return (root.relative_to(base) if root.is_relative_to(base) else root).as_posix()


def known_roots(index: IndexReader | IndexWriter, *, base: Path) -> list[Path]:
    """Where the roots of the index are. Before it noted a base its roots were absolute, and stayed so when all was
    moved or copied; what they are now can be told by the documents.
    """
    roots = index.roots()
    if index.base() is not None:
        return [base / root for root in roots]
    documents = list(index.files())
    inside = [path for path in documents if not path.startswith("/")]
    found = [_place(root, base, documents) for root in roots]
    covered = [place for place in found if place.is_relative_to(base)]
    if any(not any((base / path).is_relative_to(place) for place in covered) for path in inside):
        # no root is left that these documents can come from but the former base itself
        found = [place if place in covered or _holds(str(place), documents) else base for place in found]
    return list(dict.fromkeys(found))


def merged_roots(known: Sequence[Path], named: Sequence[Path], *, base: Path, prune: bool) -> list[str]:
    """Roots to store. prune: only those that are named now."""
    return sorted({stored_root(root, base) for root in (*absolute(named), *(() if prune else known))})


def _place(root: str, base: Path, documents: Sequence[str]) -> Path:
    """`root`, or what it is called below `base` when documents are stored there and none below `root`."""
    place = base / root
    if place.is_relative_to(base) or _holds(root, documents):
        return place
    parts = Path(root).parts
    ends = ("/".join(parts[i:]) for i in range(1, len(parts)))
    return next((base / end for end in ends if _holds(end, documents)), place)


def _holds(root: str, documents: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}/") for path in documents)
