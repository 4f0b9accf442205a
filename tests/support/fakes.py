"""Small real implementations: an embedder whose vectors can be predicted, a reranker that counts words, an index in
memory that searches by brute force."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import quantize, rotate
from rag_search.index.store.layout import IndexCounts
from rag_search.records import Chunk, DocumentFacts, Encoded, EncodedQueries, FloatMatrix, FloatVector, TokenVectors
from rag_search.text.terms import terms

DIM = 64


def word_vector(text: str) -> FloatVector:
    """Bag of words in DIM buckets, unit length; a text without words points to bucket 0."""
    vector = np.zeros(DIM, np.float32)
    for term in terms(text):
        vector[zlib.crc32(term.encode()) % DIM] += 1
    if not vector.any():
        vector[0] = 1
    return vector / np.float32(np.linalg.norm(vector))


@dataclass(frozen=True)
class WordEmbedder:
    """An Embedder: bag of words. With `tokens` it also makes one one-hot token vector per term."""

    tokens: bool = False
    version: str = "1"

    @property
    def name(self) -> str:
        return "words"

    @property
    def dim(self) -> int:
        return DIM

    @property
    def token_dim(self) -> int:
        return DIM if self.tokens else 0

    @property
    def fingerprint(self) -> str:
        return f"words-{self.version}-{self.tokens}"

    @property
    def follows_instructions(self) -> bool:
        return False

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        return np.array([len(text.split()) + sum("\u4e00" <= c <= "\u9fff" for c in text) for text in texts], np.int64)

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        vectors = np.array([word_vector(passage) for passage in passages], np.float32).reshape(-1, DIM)
        return Encoded(vectors, self._token_vectors(passages) if self.tokens else None)

    def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:
        tokens = tuple(np.array([word_vector(t) for t in terms(q)], np.float32).reshape(-1, DIM) for q in queries)
        return EncodedQueries(self.encode_documents(queries).vectors, tokens if self.tokens else None)

    def _token_vectors(self, passages: Sequence[str]) -> TokenVectors:
        rows = [word_vector(term) for passage in passages for term in terms(passage)]
        lengths = np.array([len(terms(passage)) for passage in passages], np.int64)
        return TokenVectors(quantize(rotate(np.array(rows, np.float32).reshape(-1, DIM))), lengths)


@dataclass(frozen=True)
class OverlapReranker:
    """A Reranker: the share of the query's terms that the passage holds; an instruction is one more query."""

    cutoff: float | None = None

    @property
    def name(self) -> str:
        return "overlap"

    @property
    def fingerprint(self) -> str:
        return "overlap"

    @property
    def follows_instructions(self) -> bool:
        return True

    @property
    def threshold(self) -> float | None:
        return self.cutoff

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        wanted = set(terms(f"{query} {instruction or ''}"))
        shares = [len(wanted & set(terms(passage))) / max(1, len(wanted)) for passage in passages]
        return np.array(shares, np.float32)


class MemoryIndex:
    """The part of an index that a search reads, over chunks in a list; scores by brute force."""

    kind = "memory"

    def __init__(self, texts: Mapping[str, Sequence[str]], embedder: WordEmbedder) -> None:
        """texts: path -> the text of each chunk."""
        rows = [(path, ordinal, text) for path, parts in texts.items() for ordinal, text in enumerate(parts)]
        self._chunks = [
            Chunk(path, path, ordinal, text, (), 0, len(text), ordinal + 1, ordinal + 1, text, chunk_id)
            for chunk_id, (path, ordinal, text) in enumerate(rows)
        ]
        self._encoded = embedder.encode_documents([text for _, _, text in rows])

    def search_dense(
        self, vectors: FloatMatrix, top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        scores = self._allowed(vectors @ self._encoded.vectors.T, allowed)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :top_k]
        found = np.take_along_axis(scores, order, axis=1)
        return np.where(np.isfinite(found), order, -1), found

    def search_lexical(
        self, terms_wanted: Sequence[str], top_k: int, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        counts = np.array([float(len(set(terms_wanted) & set(terms(c.text)))) for c in self._chunks], np.float32)
        scores = self._allowed(counts[None], allowed)[0]
        order = np.argsort(-scores, kind="stable")[:top_k]
        order = order[scores[order] > 0]
        return order.astype(np.int64), scores[order]

    def select(
        self, *, path_glob: Sequence[str] = (), where: Mapping[str, str] | None = None, since: str | None = None
    ) -> NDArray[np.int64] | None:
        if not path_glob:
            return None
        return np.array([c.chunk_id for c in self._chunks if c.path in path_glob], np.int64)

    @property
    def counts(self) -> IndexCounts:
        return IndexCounts(len({chunk.path for chunk in self._chunks}), len(self._chunks), 0, 0)

    pending_count = 0

    def encode_with(self, encode: object) -> None:
        """Do nothing: every chunk has its vectors."""

    @property
    def chunk_count(self) -> int:
        return len(self._chunks)

    def matching(self, alternatives: Sequence[Sequence[str]], limit: int) -> list[int]:
        found = [set(terms(chunk.passage)) for chunk in self._chunks]
        return [n for n, known in enumerate(found) if any(words and known >= set(words) for words in alternatives)][
            :limit
        ]

    def term_counts(self, terms_wanted: Sequence[str]) -> dict[str, int]:
        return {term: len(self.matching([[term]], len(self._chunks))) for term in terms_wanted}

    def terms_between(self, first: str, last: str, limit: int) -> list[tuple[str, int]]:
        known = sorted({term for chunk in self._chunks for term in terms(chunk.passage) if first <= term < last})
        return list(self.term_counts(known[:limit]).items())

    def facts(self, chunk_ids: Sequence[int]) -> list[DocumentFacts]:
        return [DocumentFacts(chunk.path, chunk.title, {}, "") for chunk in self.chunks(chunk_ids)]

    def within(self, chunk_ids: Sequence[int], selection: NDArray[np.int64]) -> list[int]:
        return [chunk_id for chunk_id in chunk_ids if chunk_id in selection]

    def outside(self, chunk_ids: Sequence[int], *, allowed: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        paths = {chunk.path for chunk in self.chunks(chunk_ids)}
        others = np.array([chunk.chunk_id for chunk in self._chunks if chunk.path not in paths], np.int64)
        return others if allowed is None else others[np.isin(others, allowed)]

    def chunks(self, chunk_ids: Sequence[int]) -> list[Chunk]:
        return [self._chunks[chunk_id] for chunk_id in chunk_ids]

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix:
        return self._encoded.vectors[list(chunk_ids)]

    def token_vectors(self, chunk_ids: Sequence[int]) -> TokenVectors:
        raise NotImplementedError("this index stores no token vectors")

    def _allowed(self, scores: FloatMatrix, allowed: NDArray[np.int64] | None) -> FloatMatrix:
        if allowed is None:
            return scores
        out = np.full_like(scores, -np.inf)
        out[:, allowed] = scores[:, allowed]
        return out
