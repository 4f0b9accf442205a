"""The records that travel through the pipeline. Frozen: a stage returns new ones and never edits its input."""

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

    path: POSIX path, relative to the index's base folder when the file lies below it, else absolute.
    title: front matter `title`, else the first heading, else the file name.
    text: the decoded file without a byte order mark; line ends exactly as in the file.
    metadata: the front matter, JSON values only.
    updated: ISO date (`YYYY-MM-DD`) from the front matter (`updated`, `date`), else of the file's mtime, else "".
    content_hash: SHA-256 of the file's bytes, hexadecimal.
    format: name of the file type, see rag_search.documents.formats.
    """

    path: str
    title: str
    text: str
    metadata: Mapping[str, Any]
    updated: str
    content_hash: str
    format: str = "markdown"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a document. The chunks of a document partition it: `text == document.text[start:end]`.

    chunk_id: row of its vector in the index; -1 before it is stored.
    ordinal: 0-based position among the document's chunks.
    heading_path: the headings it stands under, outermost first, as plain text, without the title of the document.
    start, end: character offsets into `Document.text`.
    line_start, line_end: 1-based, inclusive, of the first and last line that hold something of the chunk.
    passage: what the models read: title, heading path and cleaned text (made in rag_search.chunking only).
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
class TokenVectors:
    """Token vectors of n passages, one after the other.

    rows: uint8 (total, token_dim / 2), see rag_search.embed.token_quantizer.
    lengths: int64 (n,), rows of each passage; sums to total.
    """

    rows: NDArray[np.uint8]
    lengths: NDArray[np.int64]

    def __post_init__(self) -> None:
        if int(self.lengths.sum()) != len(self.rows):
            raise ValueError(f"{int(self.lengths.sum())} rows announced, {len(self.rows)} given")


@dataclass(frozen=True, slots=True)
class Encoded:
    """What an embedder makes of n texts: float32 (n, dim) unit rows, and token vectors if the engine has them."""

    vectors: FloatMatrix
    tokens: TokenVectors | None = None

    def __post_init__(self) -> None:
        if self.tokens is not None and len(self.tokens.lengths) != len(self.vectors):
            raise ValueError(f"{len(self.vectors)} vectors, but token vectors of {len(self.tokens.lengths)} texts")


@dataclass(frozen=True, slots=True)
class StageScores:
    """The score of each stage that saw the hit; None where it did not. Higher is better; never compare two stages.

    dense: dot product of unit vectors. lexical: BM25. fused: see rag_search.search.fusion.
    rerank: the reranker's score, for engines that are calibrated a probability of relevance in [0, 1].
    """

    dense: float | None = None
    lexical: float | None = None
    fused: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another hit in the same document: where it is and what it scored."""

    line_start: int
    line_end: int
    score: float


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk in a ranking. `rank` starts at 1; `score` is the score that decided the order; siblings are further
    hits of the same document, grouped under its best one."""

    chunk: Chunk
    rank: int
    score: float
    scores: StageScores
    siblings: tuple[Sibling, ...] = ()


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """top_k: hits wanted. candidates: depth of stage one. min_score: hide hits that score less; None leaves it to
    the reranker's own threshold, which hides everything when even the best hit is below it. paths: files, folders and
    patterns, of which one must match the path as it is stored, that of `Hit.chunk.path`. group: one hit per document,
    its other candidates as siblings."""

    top_k: int = 5
    candidates: int = 50
    system: System = "rerank"
    instruction: str | None = None
    min_score: float | None = None
    paths: tuple[str, ...] = ()
    where: Mapping[str, str] = field(default_factory=dict)
    since: str | None = None
    group: bool = True


@dataclass(frozen=True, slots=True)
class EngineNames:
    """Who answered: embedder, reranker (None when switched off) and kind of vector search."""

    embedder: str
    reranker: str | None
    index: str


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one query. `confident` is False when a calibrated reranker finds no hit above its threshold.
    notes: sentences for `--explain` (an instruction that the engine cannot follow, passages cut, ...)."""

    query: str
    instruction: str | None
    hits: tuple[Hit, ...]
    engine: EngineNames
    timings_ms: Mapping[str, float]
    confident: bool = True
    notes: tuple[str, ...] = field(default=())
