"""What every store of an index offers to readers: the folder on this machine, and a database for several machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rag_search.index.store.layout import FileState, IndexCounts, IndexManifest
from rag_search.records import Chunk, Document, DocumentFacts, Encoded, FloatMatrix, FloatVector, TokenVectors

Selection: TypeAlias = Any  # made by a store's `select`, and understood by that store only


class SearchStore(Protocol):
    """What a search reads of an index."""

    @property
    def kind(self) -> str:
        """How vectors are searched, for people."""
        ...

    @property
    def counts(self) -> IndexCounts:
        """Sizes of this generation."""
        ...

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: Selection | None = None
    ) -> tuple[NDArray[np.int64], FloatMatrix]:
        """Return chunk ids and dot products (q, top_k), best first; -1 and -inf where there are fewer."""
        ...

    def search_lexical(
        self, terms: Sequence[str], top_k: int, *, allowed: Selection | None = None
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Return ids and BM25 scores of chunks with any of `terms`, best first, at most `top_k`."""
        ...

    def select(
        self, *, path_glob: Sequence[str] = (), where: Mapping[str, str] | None = None, since: str | None = None
    ) -> Selection | None:
        """Return the selection of chunks that meet every condition, None without one."""
        ...

    @property
    def chunk_count(self) -> int:
        """Number of chunks that can be found."""
        ...

    @property
    def pending_count(self) -> int:
        """Number of chunks that have no vectors yet, and are found by their terms only."""
        ...

    def encode_with(self, encode: Callable[[Sequence[str]], Encoded]) -> None:
        """Let `encode` make the vectors of candidates that have none yet."""
        ...

    def matching(self, alternatives: Sequence[Sequence[str]], limit: int) -> list[int]:
        """Return ids of chunks that have all terms of any alternative, ascending, at most `limit`."""
        ...

    def term_counts(self, terms: Sequence[str]) -> dict[str, int]:
        """Return the number of chunks that have each term."""
        ...

    def terms_between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        """Return the terms from `first` up to, not including, `last`, with the number of chunks that have each."""
        ...

    def facts(self, chunk_ids: Sequence[int]) -> list[DocumentFacts]:
        """Return what is stored about the document of each chunk, in order."""
        ...

    def within(self, chunk_ids: Sequence[int], selection: Selection) -> list[int]:
        """Return those ids that a selection contains."""
        ...

    def outside(self, chunk_ids: Sequence[int], *, allowed: Selection | None = None) -> Selection:
        """Return a selection of chunks, of those `allowed`, in other documents than those of `chunk_ids`."""
        ...

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        """Return chunks in the order of the ids. Raises KeyError for an id that is not in this generation."""
        ...

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
        """Return vectors, float32 (n, dim), in the order of the ids."""
        ...

    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors:
        """Return token vectors in the order of the ids. Raises InputError when the embedder made none."""
        ...


class Store(Protocol):
    """What readers and the writer of an index have in common; use them in a `with` block."""

    manifest: IndexManifest

    @property
    def path(self) -> object:
        """Where the store is; its text is for people."""
        ...

    def __enter__(self) -> Self:
        """Return the store."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Close the store."""
        ...

    def close(self) -> None:
        """Release what the store holds."""
        ...

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Iterate over the paths of all documents, sorted, with the state of the file each was read from."""
        ...

    def base(self) -> str | None:
        """Return the recorded folder that paths are relative to; None if there is none."""
        ...

    def chunking(self) -> str | None:
        """Return the recorded rules by which documents are cut; None if there are none."""
        ...

    def roots(self) -> list[str]:
        """Return the folders that the index is kept equal to."""
        ...


class ReadStore(SearchStore, Store, Protocol):
    """One generation of an index. Safe for many threads."""

    generation: int

    def is_stale(self) -> bool:
        """Return whether a newer generation can be opened. Cheap: poll it."""
        ...

    def term_lines(self, chunk_ids: Sequence[int]) -> list[str]:
        """Return the terms of chunks for BM25, joined by spaces, in the order of the ids. Raises KeyError."""
        ...

    def document(self, path: str) -> Document:
        """Return the document at `path`. Raises InputError when there is none."""
        ...

    def content_hashes(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the SHA-256 of the bytes of each of these documents that is in the index."""
        ...

    def document_chunks(self, path: str) -> list[Chunk]:
        """Return the chunks of a document in reading order; empty when it has none."""
        ...

    def documents(self) -> list[str]:
        """Return the paths of all documents, sorted."""
        ...
