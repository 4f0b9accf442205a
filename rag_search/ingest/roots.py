"""The folders and files that an index is kept equal to: their stored and their absolute form."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from rag_search.index import ReadStore, WriteStore
from rag_search.index.store.base_path import read_base_path
from rag_search.index.store.recovery import salvaged_roots


def absolute(roots: Iterable[Path]) -> list[Path]:
    """Return absolute paths as `walk` names them."""
    return [Path(os.path.abspath(root.expanduser())) for root in roots]  # noqa: PTH100 (`absolute` keeps `..`)


def stored_root(root: Path, base: Path) -> str:
    """Return the stored form of a root: relative to `base` below it, so that both can be moved, else absolute."""
    return (root.relative_to(base) if root.is_relative_to(base) else root).as_posix()


def known_roots(index: ReadStore | WriteStore, *, base: Path) -> list[Path]:
    """Return the roots of the index as absolute paths."""
    return [base / root for root in index.roots()]


def recorded_roots(path: Path, *, base: Path) -> list[Path]:
    """Return the roots of an index that another version made, as far as they can be read, for its rebuild."""
    roots, _ = salvaged_roots(path)
    return [(read_base_path(path) or base) / root for root in roots]


def merged_roots(known: Sequence[Path], named: Sequence[Path], *, base: Path, prune: bool) -> list[str]:
    """Return the roots to store, in their stored form. prune: only those named now."""
    return sorted({stored_root(root, base) for root in (*absolute(named), *(() if prune else known))})
