"""Compute the features that the late-interaction reranker weighs for the candidates of one query."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.token_quantizer import Block, blocks
from rag_search.records import FloatMatrix, FloatVector, TokenVectors
from rag_search.text.scripts import is_passage_in, main_script

SHORT = 64  # tokens
FIRST_PLACE = 2  # added to each rank from 0, so that the first place counts twice the third
LEXICAL_WEIGHT = 0.5  # of BM25 beside cosine; the calibration is fitted with it, whatever stage one takes
EVIDENCE, AGREEMENT = 6, 7  # columns of `features`
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
    """Return the features of the n candidates of one query, float32 (n, 8).

    late: late-interaction scores. dense: cosines. lexical: BM25 scores, which become shares of the largest one.
    lengths: tokens of the passages, which become logarithms: the more tokens there are, the better the best of them
    matches by chance; below SHORT it makes no difference. readable: see `readability`. other_year: see
    `is_of_another_year`. exact: strength of evidence, see rag_search.search.evidence; None: none. reference: number of
    first candidates, of which the largest BM25 score is taken, and among which all are ranked; None: all.
    """
    share = lexical / max(float(lexical[:reference].max(initial=0.0)), 1e-9)
    length = np.log(np.maximum(lengths, SHORT))
    evidence = np.zeros(len(late), np.float32) if exact is None else exact
    agreed = agreement(late, dense, share, reference=reference)
    made = (late, dense, share, length, readable, other_year, evidence, agreed)
    return np.stack(made, axis=1).astype(np.float32)


def agreement(
    late: FloatVector, dense: FloatVector, share: FloatVector, *, reference: int | None = None
) -> FloatVector:
    """Return the sum of the reciprocal ranks by late interaction, by cosine, and by cosine and BM25, float32 (n,).

    It says what the scores do not: who is first, however close the others are. reference: see `features`.
    """
    both = _standardised(dense, reference) + LEXICAL_WEIGHT * _standardised(share, reference)
    ranks = (_ranks(scores, scores[:reference]) for scores in (late, dense, both))
    return np.asarray(sum(1 / (FIRST_PLACE + rank) for rank in ranks), np.float32)


def _standardised(scores: FloatVector, reference: int | None) -> FloatVector:
    """Return scores less the mean of the first `reference`, in their standard deviations."""
    among = scores[:reference]
    return np.asarray((scores - among.mean()) / (float(among.std()) or 1.0)) if len(among) else scores


def _ranks(scores: FloatVector, among: FloatVector) -> NDArray[np.int64]:
    """Return how many of `among` are larger than each score."""
    return np.asarray(len(among) - np.searchsorted(np.sort(among), scores, side="right"), np.int64)


def columns(features: FloatMatrix, translation: float) -> FloatMatrix:
    """Return `features` (n, 8) with readability replaced by 1 for an untranslated passage, else 0.

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


def is_foreign(query: str, passages: Sequence[str]) -> NDArray[np.bool_]:
    """Return which passages are in another script than the query, (n,)."""
    script = main_script(query)
    return np.array([not is_passage_in(passage, script) for passage in passages], bool)


def readability(foreign: NDArray[np.bool_], directions: FloatMatrix, *, reference: int | None = None) -> FloatVector:
    """Return how well a reader of the query's script can use each passage, float32 (n,).

    1 for a passage in the script of the query. For a passage in another script, the largest cosine of its mean token
    vector with that of a candidate in the query's script: if there is a translation, the reader prefers that.
    foreign: see `is_foreign`. directions: see `TokenMatches`. reference: number of first candidates, among which a
    translation is looked for; None: all.
    """
    readable = np.where(foreign, 0, 1).astype(np.float32)
    native = np.flatnonzero(~foreign[:reference])
    if foreign.any() and len(native):
        readable[foreign] = (directions[foreign] @ directions[native].T).max(axis=1)
    return readable


class TokenMatches(NamedTuple):
    """What is computed from the token vectors of n passages, 0 for those without any.

    late: late-interaction scores (n,). directions: of the mean token vectors, (n, dim); zeros unless asked for.
    """

    late: FloatVector
    directions: FloatMatrix


def match_tokens(query: FloatMatrix, tokens: TokenVectors, *, directions: bool = True) -> TokenMatches:
    """Unpack the token vectors of passages and match them with those of a query (q, dim), in one pass."""
    best = np.zeros((len(tokens.lengths), max(1, len(query))), np.float32)
    sums = np.zeros((len(tokens.lengths), query.shape[1]), np.float32)
    columns = np.ascontiguousarray(query.T)
    for block in blocks(tokens):
        if len(query):
            products = block.vectors @ columns
            products *= block.scales[:, None]  # here: there are fewer products than components
            best[block.passages] = np.maximum.reduceat(products, block.starts, axis=0)
        if directions:
            sums[block.passages] = _sums(block)
    if directions:
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return TokenMatches(best.mean(axis=1), sums)


def _sums(block: Block) -> FloatMatrix:
    """Return the sum of the unit vectors of each passage, (n, dim)."""
    spans = zip(block.starts.tolist(), block.ends.tolist(), strict=True)
    return np.array([block.scales[start:end] @ block.vectors[start:end] for start, end in spans], np.float32)
