"""What every store of an index offers to its one writer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from rag_search.index.base import Store
from rag_search.index.store.layout import FileState
from rag_search.records import Chunk, Document, Encoded


class WriteStore(Store, Protocol):
    """The one writer of an index. Not for several threads.

    `commit` makes everything since the last one durable, or nothing of it. After a failed write the object only
    refuses; closing it drops what was not committed, and lets the next writer in.
    """

    def stored(self, passages: Sequence[str]) -> Mapping[str, Encoded]:
        """Return the encoded form, one row each, of those of `passages` that the index contains."""
        ...

    def put(
        self, document: Document, chunks: Sequence[Chunk], encoded: Encoded, terms: Sequence[str], *, state: FileState
    ) -> None:
        """Store a document in place of its older version. Raises InputError for text that cannot be stored."""
        ...

    def touch(self, path: str, state: FileState) -> None:
        """Record that a file's size or mtime changed and its content did not."""
        ...

    def remove(self, paths: Iterable[str]) -> None:
        """Remove documents; a path that is not there is not an error."""
        ...

    def set_roots(self, roots: Iterable[str]) -> None:
        """Set the folders that the index is kept equal to."""
        ...

    def set_base(self, base: Path) -> None:
        """Record the folder that paths are relative to."""
        ...

    def set_chunking(self, rules: str) -> None:
        """Record the rules by which documents are cut; all documents become OUTDATED until their next `put`."""
        ...

    def commit(self) -> None:
        """Make everything since the last commit durable and visible to new readers."""
        ...

    def maintain(self) -> None:
        """Do what keeps searches fast; call it after an ingest."""
        ...


@runtime_checkable
class StagedStore(WriteStore, Protocol):
    """A WriteStore that stores documents before their vectors: words first, meaning later."""

    def put(
        self,
        document: Document,
        chunks: Sequence[Chunk],
        encoded: Encoded,
        terms: Sequence[str],
        *,
        state: FileState,
        pending: Sequence[int] = (),
    ) -> None:
        """Store a document as `WriteStore.put`. pending: places of chunks without vectors, whose rows are zeros."""
        ...

    def pending_count(self) -> int:
        """Return the number of chunks without vectors."""
        ...

    def pending(self, limit: int) -> list[tuple[int, str]]:
        """Return ids and passages of the first chunks without vectors, at most `limit`."""
        ...

    def complete(self, ids: Sequence[int], encoded: Encoded) -> None:
        """Store the vectors of chunks that have none, one row each."""
        ...
