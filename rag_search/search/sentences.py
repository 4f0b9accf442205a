"""Find the sentence of a hit that answers best, and its line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import dequantize
from rag_search.records import EncodedQuery, FloatMatrix, FloatVector, Hit, TokenVectors
from rag_search.runtime import blas
from rag_search.text.passages import body_lines
from rag_search.text.sentences import split_sentences
from rag_search.text.terms import terms

SHARED_TERMS = 0.8  # weight of the share of the query's terms, beside the mean cosine of its tokens
TOKENS = {"0123456789": 0.5, " \t\r\n": 0.1, ascii_lowercase: 0.25, ascii_uppercase: 0.45}  # of a character
MARK_TOKENS = 1.0  # of any other ASCII character, such as those between the cells of a table
OTHER_TOKENS = 0.75  # of a character beyond ASCII, most often a Chinese, Japanese or Korean one
HEADING = 0.1  # taken off a heading: the sentence below it answers
_TOKENS = np.array([next((n for chars, n in TOKENS.items() if chr(c) in chars), MARK_TOKENS) for c in range(128)])
_MARKS = re.compile(r"[-|:=\s`~+*#]*")
_HEADING = re.compile(r"#{1,6}\s")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence that a reader sees. line: of the document, 1-based. start, end: characters of the passage."""

    text: str
    line: int
    start: int
    end: int


def sentences_of(hit: Hit) -> list[Sentence]:
    """Return the sentences of a hit's text below title and headings; a line of code is one sentence."""
    passage = hit.chunk.passage
    found: list[Sentence] = []
    position = 0
    in_code = False
    for text, line in body_lines(hit.chunk):
        if _FENCE.match(text):
            in_code = not in_code
            continue
        if _MARKS.fullmatch(text):
            continue
        for part in [text.strip()] if in_code else split_sentences(text):
            start = max(passage.find(part, position), 0)
            position = start + len(part)
            found.append(Sentence(part, line, start, position))
    return found


def best_sentences(
    hits: Sequence[Hit], query: EncodedQuery | None, tokens: TokenVectors | None, weights: Mapping[str, float]
) -> list[Sentence | None]:
    """Return the best sentence of each hit; None for a hit that has none.

    tokens: the stored token vectors of the hits' chunks, None if the index has none. weights: how rare each term of the
    question is.
    """
    products: Sequence[FloatMatrix | None] = [None] * len(hits)
    if query is not None and query.tokens is not None and len(query.tokens) and tokens is not None:
        products = _products(query.tokens, tokens)
    return [_best_sentence(hit, own, weights) for hit, own in zip(hits, products, strict=True)]


def _best_sentence(hit: Hit, products: FloatMatrix | None, weights: Mapping[str, float]) -> Sentence | None:
    sentences = sentences_of(hit)
    if len(sentences) < 2:
        return next(iter(sentences), None)
    scores = _shares(sentences, weights) * SHARED_TERMS
    scores -= np.array([HEADING * bool(_HEADING.match(sentence.text)) for sentence in sentences])
    if products is not None and products.shape[1]:
        scores += _cosines(hit.chunk.passage, sentences, products)
    return sentences[int(np.argmax(scores))]


def rarity(counts: Mapping[str, int], chunks: int) -> dict[str, float]:
    """Return how rare each term is, from the number of chunks that have it."""
    return {term: max(0.0, math.log((chunks + 1) / (count + 0.5))) for term, count in counts.items() if count}


def _shares(sentences: Sequence[Sentence], weights: Mapping[str, float]) -> NDArray[np.float64]:
    """Return the share of the question's terms, by their weights, that each sentence has."""
    total = sum(weights.values()) or 1.0
    found = [set(terms(sentence.text)) for sentence in sentences]
    return np.array([sum(weight for term, weight in weights.items() if term in inside) / total for inside in found])


def _products(query: FloatMatrix, tokens: TokenVectors) -> list[FloatMatrix]:
    """Return the dot products of the query's tokens (q, dim) with the t tokens of each passage, (q, t)."""
    with blas.one_thread:
        products = query @ dequantize(tokens.rows).T
    return np.split(products, np.cumsum(tokens.lengths)[:-1], axis=1)


def _cosines(passage: str, sentences: Sequence[Sentence], products: FloatMatrix) -> NDArray[np.float64]:
    """Return the mean of each query token's best cosine with the tokens of each sentence.

    products: of the query's tokens with those of the passage. Stored token vectors are in reading order, so a token's
    place in the passage follows from its number.
    """
    count = products.shape[1]
    places = _places(passage)
    ends = places[[sentence.end - 1 for sentence in sentences]]
    starts = places[[sentence.start for sentence in sentences]]
    first = np.minimum((starts * count).astype(int), count - 1)
    last = np.maximum(np.ceil(ends * count).astype(int), first + 1)
    return _mean_of_best(products, first, last)


def _mean_of_best(products: FloatMatrix, first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean over the rows of the largest product in each of the spans `first:last`, (n,)."""
    # a column that ends the last span, since reduceat takes no end for it
    padded = np.concatenate((products, np.full((len(products), 1), -np.inf, np.float32)), axis=1)
    spans = np.stack((first, last), axis=1).reshape(-1)
    best = np.maximum.reduceat(padded, spans, axis=1)[:, ::2]
    return np.asarray(np.ascontiguousarray(best.T).mean(axis=1), np.float64)


def _places(passage: str) -> FloatVector:
    """Return for every character the share of the passage's tokens before its end, by the usual length of a token."""
    codes = np.frombuffer(passage.encode("utf-32-le", "replace"), np.uint32)
    total = np.cumsum(np.where(codes < len(_TOKENS), _TOKENS[np.minimum(codes, len(_TOKENS) - 1)], OTHER_TOKENS))
    return np.asarray(total / total[-1], np.float32)
