"""Dev sets for choosing weights: cut down, encoded once, and taken through stage one as the product does it.

The encodings are kept in a folder outside the repository, under the embedder's fingerprint.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.builtin.engine import BuiltinEmbedder
from rag_search.evaluation.dataset import Dataset, load_dataset, read_corpus
from rag_search.fusion import fuse
from rag_search.lexical import terms
from rag_search.records import Encoded, FloatVector, TokenVectors
from rag_search.rerank.late_interaction import features, late_interaction

DEPTH, CANDIDATES = 100, 50
PIECE_TOKENS = 240  # about a chunk of the product


@dataclass(frozen=True)
class DevSet:
    """A set cut down to its relevant passages and some distractors, in pieces of a chunk's size. owners: the passage
    that each piece belongs to. relevant: by the judgments chosen; answering: by any judgments of the set (in a parallel
    corpus the same paragraph in another language still answers)."""

    name: str
    owners: NDArray[np.str_]
    pieces: list[str]
    queries: Mapping[str, str]
    relevant: Mapping[str, frozenset[str]]
    answering: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Candidates:
    """Stage one of one question: what rag_search.rerank.late_interaction.features makes of the candidates, (n, 4), and
    which of them are relevant. documents: the page that each is part of, as a folder of Markdown would have it."""

    features: NDArray[np.float64]
    relevant: NDArray[np.bool_]
    documents: list[str]


def read_dev_set(wanted: str, embedder: BuiltinEmbedder, *, distractors: int) -> DevSet:
    """`FOLDER:QRELS[:QUERIES]`: at most so many questions, drawn with a fixed seed like the distractors."""
    folder, qrels, *limit = wanted.split(":")
    dataset = load_dataset(Path(folder), qrels=qrels)
    chance = random.Random(0)
    questions = sorted(dataset.judged, key=lambda query: query.query_id)
    chance.shuffle(questions)
    questions = questions[: int(limit[0]) if limit else None]
    relevant = {query.query_id: frozenset(dataset.qrels[query.query_id]) for query in questions}
    answering = _answering(dataset, relevant)
    needed = frozenset().union(*relevant.values())
    corpus = {doc: (title, text) for doc, title, text in read_corpus(dataset.root / "corpus.jsonl")}
    others = sorted(corpus.keys() - needed)
    chance.shuffle(others)
    kept = sorted((needed & corpus.keys()) | set(others[:distractors]))
    lengths = embedder.count_tokens([corpus[doc][1] for doc in kept])
    cut = [(doc, piece) for doc, n in zip(kept, lengths.tolist(), strict=True) for piece in _pieces(*corpus[doc], n)]
    queries = {query.query_id: query.text for query in questions}
    return DevSet(wanted, np.array([doc for doc, _ in cut]), [piece for _, piece in cut], queries, relevant, answering)


def _answering(dataset: Dataset, relevant: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    names = [path.stem for path in (dataset.root / "qrels").glob("*.tsv") if not path.stem.startswith("pages-")]
    judgments = [load_dataset(dataset.root, qrels=name).qrels for name in sorted(names)]
    return {query: own.union(*(judged.get(query, ()) for judged in judgments)) for query, own in relevant.items()}


def _pieces(title: str, text: str, tokens: int) -> Iterator[str]:
    """Equal parts of at most about PIECE_TOKENS, each under the title."""
    size = -(-len(text) // max(1, -(-tokens // PIECE_TOKENS))) or 1
    for start in range(0, max(1, len(text)), size):
        yield f"{title}\n{text[start : start + size]}".strip()


def encode(dev: DevSet, embedder: BuiltinEmbedder, work: Path) -> Encoded:
    """The pieces' encodings, from `work` when they are there."""
    name = dev.name.replace("/", "_").replace(":", "-")
    path = work / f"{name}-{len(dev.pieces)}-{embedder.fingerprint[:12]}.npz"
    if not path.exists():
        made = embedder.encode_documents(dev.pieces)
        assert made.tokens is not None
        np.savez(path, vectors=made.vectors, rows=made.tokens.rows, lengths=made.tokens.lengths)
    with np.load(path) as stored:
        return Encoded(stored["vectors"], TokenVectors(stored["rows"], stored["lengths"]))


def stage_one(dev: DevSet, encoded: Encoded, embedder: BuiltinEmbedder) -> tuple[list[Candidates], list[Candidates]]:
    """Candidates of every question, and again with all its relevant passages taken away."""
    bm25 = BM25(dev.pieces)
    found, without = [], []
    for query_id, text in dev.queries.items():
        vector, units = embedder.encode_query(text)
        dense, lexical = encoded.vectors @ vector, bm25.scores(text)
        relevant = np.isin(dev.owners, list(dev.relevant[query_id]))
        answering = np.isin(dev.owners, list(dev.answering[query_id]))
        for out, allowed in ((found, np.ones(len(relevant), bool)), (without, ~answering)):
            ids = _fused(np.where(allowed, dense, -np.inf), np.where(allowed, lexical, 0))
            tokens = _select(encoded, ids)
            made = features(late_interaction(units, tokens), dense[ids], lexical[ids], tokens.lengths)
            pages = [str(owner).split("#", 1)[0] for owner in dev.owners[ids]]
            out.append(Candidates(made.astype(np.float64), relevant[ids], pages))
    return found, without


def _fused(dense: FloatVector, lexical: FloatVector) -> NDArray[np.int64]:
    rankings = []
    for scores in (dense, lexical):
        top = np.argsort(-scores, kind="stable")[:DEPTH]
        top = top[(scores[top] > -np.inf) & ((scores is dense) | (scores[top] > 0))]
        rankings.append((top, scores[top].astype(np.float32)))
    return fuse(*rankings)[0][:CANDIDATES]


def _select(encoded: Encoded, ids: NDArray[np.int64]) -> TokenVectors:
    assert encoded.tokens is not None
    ends = np.cumsum(encoded.tokens.lengths)
    rows = [encoded.tokens.rows[ends[i] - encoded.tokens.lengths[i] : ends[i]] for i in ids]
    return TokenVectors(np.concatenate(rows), encoded.tokens.lengths[ids])


class BM25:
    """Robertson's BM25 over the product's terms, k1 1.2 and b 0.75 as in SQLite's FTS5."""

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        counts = [Counter(terms(text)) for text in texts]
        lengths = np.array([sum(count.values()) for count in counts], float)
        self._norm = k1 * (1 - b + b * lengths / lengths.mean())
        self._k1 = k1
        self._postings: dict[str, list[tuple[int, int]]] = {}
        for row, count in enumerate(counts):
            for term, times in count.items():
                self._postings.setdefault(term, []).append((row, times))

    def scores(self, query: str) -> FloatVector:
        total = np.zeros(len(self._norm), np.float32)
        for term in dict.fromkeys(terms(query)):
            if term in self._postings:
                rows, times = np.array(self._postings[term]).T
                idf = np.log(1 + (len(self._norm) - len(rows) + 0.5) / (len(rows) + 0.5))
                total[rows] += idf * times * (self._k1 + 1) / (times + self._norm[rows])
        return total
