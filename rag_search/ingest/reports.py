"""What an ingest is asked, what it plans, how far it is and what it did."""

from __future__ import annotations

from dataclasses import dataclass

from rag_search.chunking import CHUNKING_VERSION
from rag_search.documents import SourceFile
from rag_search.errors import RagSearchError


@dataclass(frozen=True, slots=True)
class Failure:
    """A path that was not ingested, and why."""

    path: str
    reason: str

    @classmethod
    def of(cls, path: str, error: RagSearchError) -> Failure:
        """What the error says, remedy included, without the path, which stands beside it already."""
        return cls(path, f"{error.message.removeprefix(path).strip()} {error.remedy}".strip())


@dataclass(frozen=True, slots=True)
class Plan:
    """What separates the index from the folders. Paths as stored; `touched` changed on disk but not in content."""

    new: tuple[SourceFile, ...] = ()
    changed: tuple[SourceFile, ...] = ()
    touched: tuple[SourceFile, ...] = ()
    unchanged: int = 0
    removed: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    skipped: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What one run did. embedded: passages that had to be embedded; tokens: theirs, in the embedder's own count.
    empty: documents without text. skipped: left out on purpose, such as a link that leads in a circle. chunks: of new
    and changed documents."""

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


def _rules(version: int, max_tokens: int) -> str:
    return f"version {version}, {max_tokens} tokens"


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """max_tokens: of one passage. max_bytes: of one file. prune: remove what lies under other folders than these.
    allow_empty: a folder without Markdown removes what was stored from it, instead of being taken for a mistake."""

    max_tokens: int = 256
    max_bytes: int = 64 * 2**20
    prune: bool = False
    allow_empty: bool = False

    @property
    def chunking(self) -> str:
        """The rules by which documents are cut, as an index notes them."""
        return _rules(CHUNKING_VERSION, self.max_tokens)


UNNOTED_CHUNKING = _rules(1, 256)  # of indexes that do not say


@dataclass(frozen=True, slots=True)
class Step:
    """Progress after a commit: documents and bytes done of those to do, tokens embedded so far."""

    documents: int
    documents_total: int
    bytes: int
    bytes_total: int
    tokens: int
