"""What a search is asked for and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rag_search.records.documents import Chunk

System = Literal["bm25", "dense", "hybrid", "rerank"]


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
    patterns, one of which must match the stored path (`Hit.chunk.path`), and none of those with `!` in front. where:
    front matter key -> required value. since: ISO date; only documents updated on that day or later. group: one hit
    per document, with its other candidates as siblings. below_threshold: "nearest" keeps a few near misses of a result
    that is not confident, "none" keeps none, "all" also lists hits below the threshold under a confident one.
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
