"""The files of an index and what identifies it. STORE in one table:

meta.db              SQLite: the only commit point
vectors-000001.f32   append-only rows (n, dim) float32, little-endian; chunk id = row
tokens-000001.u4     append-only token vectors, four bits a dimension
lengths-000001.i32   append-only numbers of terms, one int32 for each chunk, for BM25
ann-000007.faiss     derived cache, made at generation 7; may be deleted at any time
writer.lock          held by the one writer
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rag_search.errors import FingerprintError, IndexMissingError

SCHEMA_VERSION = 2
OUTDATED = -1
DATABASE = "meta.db"
LOCK = "writer.lock"
REBUILD = "Run: ragsearch ingest --rebuild"
_DERIVED = re.compile(r"(vectors-\d+\.f32|tokens-\d+\.(u4|i8)|lengths-\d+\.i32|ann-\d+\.faiss)(\.tmp)?")


@dataclass(frozen=True, slots=True)
class IndexManifest:
    """What an index was made with; another manifest may not write to it.

    embedder_fingerprint: see `Embedder.fingerprint`. dim, token_dim: dimensions of a vector and of a token vector
    (0: none). lexical_version: of the term rules.
    """

    embedder_name: str
    embedder_fingerprint: str
    dim: int
    token_dim: int
    lexical_version: str
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if self.dim < 1 or self.token_dim < 0 or self.token_dim % 2:
            raise ValueError(f"dim {self.dim} and token_dim {self.token_dim} do not make an index")

    @property
    def token_bytes(self) -> int:
        """Bytes of a stored token vector (four bits a dimension); 0 without token vectors."""
        return self.token_dim // 2

    def require_match(self, wanted: IndexManifest, *, path: Path) -> None:
        """Raise FingerprintError unless an engine described by `wanted` may use this index at `path`."""
        if self.embedder_fingerprint != wanted.embedder_fingerprint:
            raise FingerprintError(
                f"{path} was made by {self.embedder_name} ({self.embedder_fingerprint[:12]}), "
                f"not by {wanted.embedder_name} ({wanted.embedder_fingerprint[:12]}).",
                remedy=REBUILD,
            )
        for part in ("dim", "token_dim", "lexical_version", "schema_version"):
            here, there = getattr(self, part), getattr(wanted, part)
            if here != there:
                raise FingerprintError(f"{path} was made with {part} {here}, not {there}.", remedy=REBUILD)


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was ingested. size in bytes, OUTDATED for one that was cut into chunks by other rules
    than those of now; content_hash: SHA-256, hexadecimal."""

    size: int
    mtime_ns: int
    content_hash: str


@dataclass(frozen=True, slots=True)
class IndexCounts:
    """documents and chunks that can be found; dead: rows of removed chunks; bytes: of all files of the index."""

    documents: int
    chunks: int
    dead: int
    bytes: int


@dataclass(frozen=True, slots=True)
class AnnFile:
    """The approximate index over the rows `[0, rows)`. checksum: CRC-32 of the file."""

    name: str
    rows: int
    checksum: int


def no_index(path: Path) -> IndexMissingError:
    return IndexMissingError(f"there is no index at {path}.", remedy="Run: ragsearch ingest PATH")


def derived_files(folder: Path) -> list[Path]:
    """Segments, caches and their unfinished forms in `folder`: what recovery may delete when nothing names it."""
    return sorted(file for file in folder.iterdir() if _DERIVED.fullmatch(file.name))


def file_number(name: str) -> int:
    """7 of `vectors-000007.f32`."""
    return int(name.partition("-")[2].partition(".")[0])


def bytes_in(folder: Path) -> int:
    """Bytes of the files in a folder; one that a writer removes meanwhile counts nothing."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += file.stat().st_size
    return total
