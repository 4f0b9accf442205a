"""The files of an index and the records that identify it.

meta.db              SQLite: the only commit point
vectors-000001.f16   append-only rows (n, dim) float16, little-endian; chunk id = row
tokens-000001.u3     append-only token vectors, pooled, three bits a dimension
lengths-000001.i32   append-only numbers of terms, one int32 for each chunk, for BM25
ann-000007.faiss     derived from the vectors at generation 7; may be deleted at any time
writer.lock          held by the one writer
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rag_search.errors import FingerprintError, IndexMissingError
from rag_search.records import packed_bytes

SCHEMA_VERSION = 4  # 4 (December 2026): token vectors of three bits, pooled three to one
OUTDATED = -1
DATABASE = "meta.db"
LOCK = "writer.lock"
REBUILD = "Run: ragsearch ingest --rebuild"
_DERIVED = re.compile(
    r"(vectors-\d+\.f(16|32)|tokens-\d+\.(u3|u4|i8)|lengths-\d+\.i32|ann-\d+\.faiss|postings-\d+\.bm25)(\.tmp)?"
)


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """Everything that the content of an index depends on; a writer with another manifest is refused.

    embedder_fingerprint: see `Embedder.fingerprint`. dim, token_dim: dimensions of a vector and of a token vector
    (0: none). lexical_version: version of the term rules.
    """

    embedder_name: str
    embedder_fingerprint: str
    dim: int
    token_dim: int
    lexical_version: str
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.dim < 1 or self.token_dim < 0 or self.token_dim % 8:
            raise ValueError(f"dim {self.dim} and token_dim {self.token_dim} do not make an index")

    @property
    def token_bytes(self) -> int:
        """Bytes of a stored token vector; 0 without token vectors."""
        return packed_bytes(self.token_dim)

    def require_current(self, path: object) -> None:
        """Raise FingerprintError for an index of another version."""
        if self.schema_version != SCHEMA_VERSION:
            raise FingerprintError(
                f"{path} was made with schema_version {self.schema_version}, this program reads {SCHEMA_VERSION}.",
                remedy=REBUILD,
            )

    def require_match(self, required: IndexManifest, *, path: object) -> None:
        """Raise FingerprintError unless an engine with the manifest `required` may use this index at `path`."""
        self.require_current(path)
        if self.embedder_fingerprint != required.embedder_fingerprint:
            raise FingerprintError(
                f"{path} was made by {self.embedder_name} ({self.embedder_fingerprint[:12]}), "
                f"not by {required.embedder_name} ({required.embedder_fingerprint[:12]}).",
                remedy=REBUILD,
            )
        for part in ("dim", "token_dim", "lexical_version", "schema_version"):
            here, there = getattr(self, part), getattr(required, part)
            if here != there:
                raise FingerprintError(f"{path} was made with {part} {here}, not {there}.", remedy=REBUILD)


class FileState(NamedTuple):
    """A file when it was ingested. A tuple, as a sync reads one for each file.

    size: in bytes; OUTDATED for a file that was chunked by other rules than the present ones. content_hash: SHA-256,
    hexadecimal.
    """

    size: int
    mtime_ns: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """Sizes of an index.

    documents, chunks: those that can be found. deleted: rows of deleted chunks. bytes: size of all files. pending:
    chunks that have no vectors yet, and are found by their terms only.
    """

    documents: int
    chunks: int
    deleted: int
    bytes: int
    pending: int = 0


@dataclass(frozen=True, slots=True)
class DerivedFile:
    """A file derived from the rows `[0, rows)` of the vectors. checksum: CRC-32 of the file."""

    name: str
    rows: int
    checksum: int


def no_index(path: Path) -> IndexMissingError:
    """Return the error for a folder without an index."""
    return IndexMissingError(f"there is no index at {path}.", remedy="Run: ragsearch ingest PATH")


def derived_files(folder: Path) -> list[Path]:
    """List the segments, derived files and their unfinished forms: files to delete unless meta.db names them."""
    return sorted(file for file in folder.iterdir() if _DERIVED.fullmatch(file.name))


def file_number(name: str) -> int:
    """Return 7 for `vectors-000007.f16`."""
    return int(name.partition("-")[2].partition(".")[0])


def bytes_in(folder: Path) -> int:
    """Return the size of all files in a folder; a file, or the folder, that is removed meanwhile counts 0."""
    total = 0
    with suppress(FileNotFoundError):
        for file in list(folder.iterdir()):
            with suppress(FileNotFoundError):
                total += file.stat().st_size
    return total
