"""Copy an index from one store to another, with everything that was made of the documents: no model is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rag_search.errors import InputError
from rag_search.index.base import ReadStore
from rag_search.index.store.layout import FileState
from rag_search.index.write_base import WriteStore
from rag_search.records import Encoded

COMMIT_CHUNKS = 2000


@dataclass(frozen=True, slots=True)
class CopyReport:
    """Numbers of documents, and of the chunks that were copied. kept: documents that were the same already."""

    copied: int
    kept: int
    removed: int
    chunks: int


def copy_store(
    source: ReadStore, target: WriteStore, *, on_commit: Callable[[int, int], None] = lambda *_: None
) -> CopyReport:
    """Make `target` equal to `source`. An interrupted copy goes on where it ended. Raises what the stores raise.

    on_commit: called with the number of documents that are done, and of all.
    """
    if source.pending_count:
        raise InputError(
            f"{source.pending_count:,} passages of {source.path} have no vectors yet.", remedy="Run: ragsearch ingest"
        )
    rules = source.chunking()
    if rules is not None and rules != target.chunking():
        target.set_chunking(rules)
    copied = kept = chunks = pending = 0
    removed: list[str] = []
    differences = list(_differences(source, target))  # a commit ends what the target iterates over
    for done, (path, state, known) in enumerate(differences, 1):
        if state is None:
            removed.append(path)
            continue
        if state == known:
            kept += 1
        else:
            pending += _copy_document(source, target, path, state)
            copied += 1
        if pending >= COMMIT_CHUNKS:
            target.commit()
            chunks, pending = chunks + pending, 0
            on_commit(done, len(differences))
    target.remove(removed)
    target.set_roots(source.roots())
    if (base := _base_of(source)) is not None:
        target.set_base(base)
    target.commit()
    target.maintain()
    return CopyReport(copied, kept, len(removed), chunks + pending)


def _base_of(source: ReadStore) -> Path | None:
    """Return the folder that paths are relative to; an index in a folder records it relative to that folder."""
    base = source.base()
    if base is None or not isinstance(source.path, Path):
        return None if base is None else Path(base)
    return Path(os.path.normpath(source.path / base))


def _copy_document(source: ReadStore, target: WriteStore, path: str, state: FileState) -> int:
    """Put one document into the target, and return the number of its chunks."""
    chunks = source.document_chunks(path)
    ids = [chunk.chunk_id for chunk in chunks]
    tokens = source.token_vectors(ids) if source.manifest.token_dim else None
    target.put(source.document(path), chunks, Encoded(source.vectors(ids), tokens), source.term_lines(ids), state=state)
    return len(chunks)


def _differences(source: ReadStore, target: WriteStore) -> Iterator[tuple[str, FileState | None, FileState | None]]:
    """Merge the documents of both stores: path, state in the source, state in the target."""
    theirs = target.files()
    known = next(theirs, None)
    for path, state in source.files():
        while known is not None and known[0] < path:
            yield known[0], None, known[1]
            known = next(theirs, None)
        if known is not None and known[0] == path:
            yield path, state, known[1]
            known = next(theirs, None)
        else:
            yield path, state, None
    while known is not None:
        yield known[0], None, known[1]
        known = next(theirs, None)
