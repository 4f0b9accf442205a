"""The records that travel through the pipeline.

They are frozen: a stage returns new ones and never changes its input.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    FloatMatrix = NDArray[np.float32]
    FloatVector = NDArray[np.float32]
    CountTokens = Callable[[Sequence[str]], NDArray[np.int64]]  # texts to their lengths in tokens, (n,)
else:  # a query that a warm server answers never needs NumPy, and importing it takes longer than the answer
    FloatMatrix = FloatVector = "NDArray[np.float32]"
    CountTokens = "Callable[[Sequence[str]], NDArray[np.int64]]"

System = Literal["bm25", "dense", "hybrid", "rerank"]


@dataclass(frozen=True, slots=True)
class Document:
    """One Markdown file.

    path: POSIX path, relative to the base folder of the index if the file is below it, else absolute.
    title: front matter `title`, else the first heading, else the file name.
    text: the decoded file without a byte order mark; line ends exactly as in the file.
    metadata: the front matter, JSON values only.
    updated: ISO date (`YYYY-MM-DD`) from the front matter (`updated`, `date`), else from the file's mtime, else "".
    content_hash: SHA-256 of the file's bytes, hexadecimal.
    format: name of the file type, see rag_search.documents.formats.
    updated_from: origin of `updated`: "metadata", "name", "git", "file", or "" for texts.
    """

    path: str
    title: str
    text: str
    metadata: Mapping[str, Any]
    updated: str
    content_hash: str
    format: str = "markdown"
    updated_from: str = "file"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document. The chunks of a document partition it: `text == document.text[start:end]`.

    chunk_id: row of its vector in the index; -1 before it is stored.
    ordinal: 0-based position among the document's chunks.
    heading_path: the headings above it, outermost first, as plain text, without the title of the document.
    start, end: character offsets into `Document.text`.
    line_start, line_end: first and last line that contain a part of the chunk, 1-based, inclusive.
    passage: the text that the models read: title, heading path and cleaned text (made in rag_search.chunking only).
    passage_lines: for every line of the passage the 1-based line of the document that it was made from, 0 for title
        and heading path; () in an index that does not store it.
    """

    path: str
    title: str
    ordinal: int
    text: str
    heading_path: tuple[str, ...]
    start: int
    end: int
    line_start: int
    line_end: int
    passage: str
    chunk_id: int = -1
    passage_lines: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DocumentFacts:
    """What an index stores of a document besides its text; see Document."""

    path: str
    title: str
    metadata: Mapping[str, Any]
    updated: str


@dataclass(frozen=True, slots=True)
class TokenVectors:
    """Token vectors of n passages, one after the other.

    rows: uint8 (total, token_dim / 2), see rag_search.embed.token_quantizer.
    lengths: int64 (n,), rows of each passage; sums to total.
    counts: int64 (n,), tokens of each passage before pooling; None: each token has a row.
    """

    rows: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    counts: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if int(self.lengths.sum()) != len(self.rows):
            raise ValueError(f"{int(self.lengths.sum())} rows announced, {len(self.rows)} given")

    @property
    def token_counts(self) -> NDArray[np.int64]:
        """Tokens of each passage, int64 (n,)."""
        return self.lengths if self.counts is None else self.counts

    def part(self, start: int, stop: int) -> TokenVectors:
        """Return the token vectors of the passages `start:stop`."""
        first = int(self.lengths[:start].sum())
        last = first + int(self.lengths[start:stop].sum())
        return TokenVectors(self.rows[first:last], self.lengths[start:stop], self.token_counts[start:stop])


@dataclass(frozen=True, slots=True)
class Encoded:
    """The encoded form of n passages.

    vectors: float32 (n, dim) unit rows. tokens: None if the embedder makes no token vectors.
    """

    vectors: FloatMatrix
    tokens: TokenVectors | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens.lengths) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} vectors, but token vectors of {len(self.tokens.lengths)} texts")


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """The encoded form of one query.

    vector: float32 (dim,), of length 1. tokens: float32 (t, token_dim) unit rows; None if the embedder makes none.
    """

    text: str
    vector: FloatVector
    tokens: FloatMatrix | None = None


@dataclass(frozen=True, slots=True)
class EncodedQueries:
    """The encoded form of n queries.

    vectors: float32 (n, dim) unit rows. tokens: the token vectors of each query, float32 (t, token_dim) unit rows;
    None if the embedder makes none.
    """

    vectors: FloatMatrix
    tokens: tuple[FloatMatrix, ...] | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} vectors, but token vectors of {len(self.tokens)} queries")

    def each(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Return the queries one by one. texts: the n texts that were encoded."""
        tokens = self.tokens or (None,) * len(self.vectors)
        return [EncodedQuery(*parts) for parts in zip(texts, self.vectors, tokens, strict=True)]


@dataclass(frozen=True, slots=True)
class StageScores:
    """The score of each stage; None for a stage that did not see the hit.

    Higher is better. Scores of two stages are not comparable.

    dense: dot product of unit vectors. lexical: BM25. fused: see rag_search.search.fusion.
    rerank: the reranker's score; from calibrated engines a probability of relevance in [0, 1].
    """

    dense: float | None = None
    lexical: float | None = None
    fused: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another hit in the same document: its lines and its score."""

    line_start: int
    line_end: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk in a ranking.

    rank: from 1. score: the score that decided the order. siblings: further hits of the same document, grouped under
    its best one. exact: parts of the query that this chunk, and few others, contains to the letter. evidence: their
    share of the query, 0 to 1. same_in: paths of further documents with the same text. sentence, line_best: the
    sentence that answers best and its 1-based line; "" and 0 if unknown. changed: "changed" or "gone" if the file is
    not what was ingested, else "".
    """

    chunk: Chunk
    rank: int
    score: float
    scores: StageScores
    siblings: tuple[Sibling, ...] = ()
    exact: tuple[str, ...] = ()
    evidence: float = 0.0
    same_in: tuple[str, ...] = ()
    sentence: str = ""
    line_best: int = 0
    changed: str = ""

    @property
    def line(self) -> int:
        """The line to open: that of the best sentence, else the first one of the chunk."""
        return self.line_best or self.chunk.line_start


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How to search.

    top_k: largest number of hits. candidates: depth of stage one. min_score: hide hits that score less; None applies
    the reranker's own threshold, which hides all hits if even the best one is below it. paths: files, folders and
    patterns, one of which must match the stored path (`Hit.chunk.path`). where: front matter key -> required value.
    since: ISO date; only documents updated on that day or later. group: one hit per document, with its other
    candidates as siblings. below_threshold: "nearest" keeps a few near misses of a result that is not confident,
    "none" keeps none, "all" also lists hits below the threshold under a confident one.
    """

    top_k: int = 5
    candidates: int = 50
    system: System = "rerank"
    instruction: str | None = None
    min_score: float | None = None
    paths: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    since: str | None = None
    group: bool = True
    below_threshold: Literal["none", "nearest", "all"] = "nearest"


@dataclass(frozen=True, slots=True)
class EngineNames:
    """The names of embedder, reranker (None when switched off) and kind of vector search."""

    embedder: str
    reranker: str | None
    index: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query.

    confident: False if a calibrated reranker finds no hit above its `threshold`; `hits` is empty then, and
    `near_misses` holds the best hits below it. threshold: None if the reranker is not calibrated. notes: sentences for
    `--explain` (an instruction that the engine cannot follow, truncated passages, ...).
    """

    query: str
    instruction: str | None
    hits: tuple[Hit, ...]
    engine: EngineNames
    timings_ms: Mapping[str, float]
    confident: bool = True
    notes: tuple[str, ...] = ()
    threshold: float | None = None
    near_misses: tuple[Hit, ...] = ()
