"""Hard negatives for each question: passages that BM25 and the product's own encoder rank high, and near questions'.

Nothing is deleted from the data: a candidate is only left out for one question, because it may well answer it
(`Guards`). The passages are other pairs' right answers, so a hard negative costs no extra tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bm25s
import faiss
import numpy as np
from data import Pair, passage_text

from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.engines.table import DEFAULT_MODEL
from rag_search.text.terms import terms

# What the encoder reads of a passage to find neighbours: about 64 tokens in either script.
OPENING_ASCII, OPENING_OTHER = 260, 110


@dataclass(frozen=True)
class Guards:
    """What may not be called a negative of a question.

    The passage of a question that asks the same (cosine above `duplicate_cosine`); one that says the same as the right
    one (`duplicate_passages`, or in the other script, where it may be the translation, `translation`); and one that the
    encoder scored more than `margin` above the right one.
    """

    duplicate_cosine: float
    duplicate_passages: float
    translation: float
    margin: float


@dataclass(frozen=True)
class Pool:
    """The pairs as they are compared: passage keys (n,) and question vectors (n, 384).

    When mined, also passage vectors (n, 384), and whether a passage is mostly in Latin script (n,).
    """

    keys: np.ndarray
    questions: np.ndarray
    passages: np.ndarray | None = None
    latin: np.ndarray | None = None

    def negative(self, row: int, others: np.ndarray, guards: Guards) -> np.ndarray:
        """Return which of the rows `others` have passages that may be negatives of the question of `row`."""
        passes = (self.keys[others] != self.keys[row]) & (
            self.questions[others] @ self.questions[row] < guards.duplicate_cosine
        )
        if self.passages is not None and self.latin is not None:
            alike = np.where(self.latin[others] == self.latin[row], guards.duplicate_passages, guards.translation)
            right = float(self.questions[row] @ self.passages[row])
            passes &= self.passages[others] @ self.passages[row] < alike
            passes &= self.passages[others] @ self.questions[row] < right + guards.margin
        return np.asarray(passes)


def own_vectors(pairs: list[Pair], cache_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return question and passage vectors (n, 384) float32 unit rows of the encoder in the package."""
    embedder = BuiltinEmbedder(cache_dir=cache_dir, model=DEFAULT_MODEL)
    questions = {text: row for row, text in enumerate(dict.fromkeys(pair.query for pair in pairs))}
    openings = [opening(pair) for pair in pairs]
    passages = {text: row for row, text in enumerate(dict.fromkeys(openings))}
    question_rows = embedder.encode_queries(list(questions)).vectors
    passage_rows = np.concatenate([embedder.encode_documents(part).vectors for part in slices(list(passages))])
    return question_rows[[questions[pair.query] for pair in pairs]], passage_rows[[passages[text] for text in openings]]


def opening(pair: Pair) -> str:
    """Return the start of the passage, title and heading path included."""
    text = passage_text(pair, pair.title).removeprefix("passage: ")
    start = text[:OPENING_ASCII]
    return start if is_latin(start) else text[:OPENING_OTHER]


def is_latin(text: str) -> bool:
    """Return whether most characters are ASCII."""
    return sum(char.isascii() for char in text) > len(text) / 2


def slices(texts: list[str]) -> Iterator[list[str]]:
    """Yield a thousand at a time, because the encoder also returns token vectors."""
    return (texts[at : at + 1000] for at in range(0, len(texts), 1000))


def bm25_neighbours(pairs: list[Pair], count: int) -> np.ndarray:
    """Return the rows (n, count) of the passages with the best BM25 score for each question, in the product's terms."""
    index = bm25s.BM25()
    index.index([terms(f"{pair.title} {pair.heading_path} {pair.text}") for pair in pairs], show_progress=False)
    queries = [terms(pair.query) or ["?"] for pair in pairs]
    rows, _scores = index.retrieve(queries, k=count, show_progress=False, n_threads=2)
    return np.asarray(rows)


def vector_neighbours(queries: np.ndarray, rows: np.ndarray, count: int) -> np.ndarray:
    """Return the positions (n, count) of the nearest `rows` by inner product."""
    index = faiss.IndexFlatIP(rows.shape[1])
    index.add(np.ascontiguousarray(rows))
    return index.search(np.ascontiguousarray(queries), count)[1]


def hard_negatives(pool: Pool, sources: list[np.ndarray], guards: Guards) -> list[list[np.ndarray]]:
    """Return the candidates that pass the guards, by row and source."""
    return [
        [source[row][pool.negative(row, source[row], guards)] for source in sources] for row in range(len(pool.keys))
    ]
