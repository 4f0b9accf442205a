"""Records of an ingest: its options, its plan, its progress and its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rag_search.chunking import CHUNKING_VERSION
from rag_search.documents import Selection, SourceFile
from rag_search.errors import RagSearchError


@dataclass(frozen=True, slots=True)
class Failure:
    """A path that was not ingested, and the reason."""

    path: str
    reason: str

    @classmethod
    def of(cls, path: str, error: RagSearchError) -> Failure:
        """Make a failure of an error: message and remedy, without the path, which is shown beside it."""
        return cls(path, f"{error.message.removeprefix(path).strip()} {error.remedy}".strip())


@dataclass(frozen=True, slots=True)
class Plan:
    """Differences between the index and the folders. Paths are as stored.

    touched: files of which only size or mtime changed, with the hash of their content. unread: number of files of
    kinds that are not read, by suffix. emptied: roots that have lost all their documents; they are among the failed.
    """

    new: tuple[SourceFile, ...] = ()
    changed: tuple[SourceFile, ...] = ()
    touched: tuple[tuple[SourceFile, str], ...] = ()
    unchanged: int = 0
    removed: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    skipped: tuple[Failure, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)
    emptied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """Result of one run.

    empty: documents without text. skipped: paths left out on purpose, such as a link that leads in a circle.
    warnings: documents that were read in part, with the reason. unread: number of files of other kinds, by suffix.
    chunks: those of new and changed documents. embedded: passages that the model read; tokens: theirs, in its own
    count.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[Failure, ...] = ()
    empty: tuple[str, ...] = ()
    skipped: tuple[Failure, ...] = ()
    chunks: int = 0
    embedded: int = 0
    tokens: int = 0
    seconds: float = 0.0
    warnings: tuple[Failure, ...] = ()
    unread: Mapping[str, int] = field(default_factory=dict)


def _rules(version: int, max_tokens: int) -> str:
    return f"version {version}, {max_tokens} tokens"


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """How folders become an index.

    max_tokens: limit of one passage. max_bytes: limit of one file. prune: remove documents under other folders than
    those of this run. allow_empty: a folder without any removes its documents; otherwise it is an error.
    selection: patterns of files to read or not. words_first: bytes of files to read from which on all texts are stored
    before the first vector is made.
    """

    max_tokens: int = 256
    max_bytes: int = 64 * 2**20
    prune: bool = False
    allow_empty: bool = False
    selection: Selection = field(default_factory=Selection)
    words_first: int = 2**19  # half a minute of a laptop

    @property
    def chunking(self) -> str:
        """The rules by which documents are chunked, as an index records them."""
        return _rules(CHUNKING_VERSION, self.max_tokens)


LEGACY_CHUNKING = _rules(1, 256)  # of indexes that record no rules


@dataclass(frozen=True, slots=True)
class Step:
    """Progress at the start and after a commit: documents and bytes done, their totals, tokens embedded.

    stage: "words" while texts are stored without vectors, "meaning" while their vectors are made, when passages are
    counted in place of documents.
    """

    documents: int
    documents_total: int
    bytes: int
    bytes_total: int
    tokens: int
    stage: Literal["", "words", "meaning"] = ""
