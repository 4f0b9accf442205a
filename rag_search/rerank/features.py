"""Compute the features that the late-interaction reranker weighs for the candidates of one query."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import levels, scales
from rag_search.records import FloatMatrix, FloatVector, TokenVectors
from rag_search.text.scripts import is_passage_in, main_script

SHORT = 64  # tokens
EVIDENCE = 6  # column of `features`
_YEAR = re.compile(r"(?<!\d)(?!2000)(?:199\d|20[0-3]\d)(?!\d)")  # 2000 is more often a round number


def features(
    late: FloatVector,
    dense: FloatVector,
    lexical: FloatVector,
    lengths: NDArray[np.int64],
    readable: FloatVector,
    other_year: FloatVector,
    *,
    exact: FloatVector | None = None,
    reference: int | None = None,
) -> FloatMatrix:
    """Return the features of the n candidates of one query, float32 (n, 7).

    late: late-interaction scores. dense: cosines. lexical: BM25 scores, which become shares of the largest one.
    lengths: tokens of the passages, which become logarithms: the more tokens there are, the better the best of them
    matches by chance; below SHORT it makes no difference. readable: see `readability`. other_year: see
    `is_of_another_year`. exact: strength of evidence, see rag_search.search.evidence; None: none. reference: number of
    first candidates, of which the largest BM25 score is taken; None: all.
    """
    share = lexical / max(float(lexical[:reference].max(initial=0.0)), 1e-9)
    length = np.log(np.maximum(lengths, SHORT))
    evidence = np.zeros(len(late), np.float32) if exact is None else exact
    return np.stack((late, dense, share, length, readable, other_year, evidence), axis=1).astype(np.float32)


def columns(features: FloatMatrix, translation: float) -> FloatMatrix:
    """Return `features` (n, 7) with readability replaced by 1 for an untranslated passage, else 0.

    translation: a passage that is less readable counts as untranslated. All other scores favour the query's language.
    """
    return np.column_stack((features[:, :4], features[:, 4] < translation, features[:, 5:]))


def is_of_another_year(query: str, passages: Sequence[str]) -> FloatVector:
    """Return 1 for each passage whose title or headings name years, but none that the query names; else 0.

    Editions differ in the year only, which embeddings barely notice.
    """
    years = set(_YEAR.findall(query))
    heads = [set(_YEAR.findall("\n".join(passage.split("\n", 2)[:2]))) if years else set() for passage in passages]
    return np.array([bool(named) and years.isdisjoint(named) for named in heads], np.float32)


def readability(
    query: str, passages: Sequence[str], tokens: PassageTokens, *, reference: int | None = None
) -> FloatVector:
    """Return how well a reader of the query's script can use each passage, float32 (n,).

    1 for a passage in the script of the query. For a passage in another script, the largest cosine of its mean token
    vector with that of a candidate in the query's script: if there is a translation, the reader prefers that.
    reference: number of first candidates, among which a translation is looked for; None: all.
    """
    script = main_script(query)
    foreign = np.array([not is_passage_in(passage, script) for passage in passages], bool)
    readable = np.where(foreign, 0, 1).astype(np.float32)
    native = np.flatnonzero(~foreign[:reference])
    if foreign.any() and len(native):
        means = tokens.mean_directions()
        readable[foreign] = (means[foreign] @ means[native].T).max(axis=1)
    return readable


class PassageTokens:
    """The token vectors of n passages, unpacked once for all that is computed from them. A passage may have none.

    The scale that makes a vector unit is applied to its products: there are fewer of them than components.
    """

    def __init__(self, tokens: TokenVectors) -> None:
        self._vectors = levels(tokens.rows)
        self._scales = scales(self._vectors)
        self._count = len(tokens.lengths)
        self._filled = np.flatnonzero(tokens.lengths)  # np.ufunc.reduceat takes no empty span
        ends = np.cumsum(tokens.lengths)
        self._starts, self._ends = (ends - tokens.lengths)[self._filled], ends[self._filled]

    def scores(self, query: FloatMatrix) -> FloatVector:
        """Return the late-interaction scores (n,) for the unit token vectors (q, dim) of a query."""
        scores = np.zeros(self._count, np.float32)
        if len(self._filled) and len(query):
            products = self._vectors @ np.ascontiguousarray(query.T)
            products *= self._scales[:, None]
            scores[self._filled] = np.maximum.reduceat(products, self._starts, axis=0).mean(axis=1)
        return scores

    def mean_directions(self) -> FloatMatrix:
        """Return the direction of the mean token vector of each passage, (n, dim); zeros without tokens."""
        means = np.zeros((self._count, self._vectors.shape[1]), np.float32)
        spans = zip(self._filled.tolist(), self._starts.tolist(), self._ends.tolist(), strict=True)
        for passage, start, end in spans:  # products with the scales; np.add.reduceat takes three times as long
            means[passage] = self._scales[start:end] @ self._vectors[start:end]
        return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)
