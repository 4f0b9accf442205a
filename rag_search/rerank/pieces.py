"""Cut passages that are longer than a model reads, so that an answer at the end of one is read, too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.records import CountTokens
from rag_search.text.sentences import LINE_OR_SENTENCE_END

WHOLE = 500  # tokens that a model of 512 reads besides a prefix
PIECE = 200  # tokens of a piece: about those of an indexed passage, which the scores are calibrated for
MAX_PIECES = 16  # of one passage; what follows is not read


def cut_passages(passages: Sequence[str], count_tokens: CountTokens) -> tuple[list[str], NDArray[np.int64]]:
    """Return pieces of passages in order, and for each the number of its passage, int64 (pieces,).

    A passage of at most WHOLE tokens is one piece.
    """
    long = [number for number, passage in enumerate(passages) if len(passage) > WHOLE]  # a token has a character
    tokens = dict(zip(long, count_tokens([passages[n] for n in long]).tolist(), strict=True)) if long else {}
    pieces: list[str] = []
    owners: list[int] = []
    for number, passage in enumerate(passages):
        made = [passage] if tokens.get(number, 0) <= WHOLE else _cut(passage, math.ceil(tokens[number] / PIECE))
        pieces += made
        owners += [number] * len(made)
    return pieces, np.array(owners, np.int64)


def _cut(text: str, parts: int) -> list[str]:
    """Return the first MAX_PIECES of about `parts` even pieces, cut after sentences or at blanks if possible."""
    each = len(text) / parts
    cuts = [0]
    for target in (round(each * number) for number in range(1, min(parts, MAX_PIECES + 1))):
        cuts.append(_border(text, max(cuts[-1] + 1, target - round(each / 3)), target))
    ends = [*cuts[1:], len(text)][:MAX_PIECES]
    return [text[start:end] for start, end in zip(cuts, ends, strict=False)]


def _border(text: str, earliest: int, target: int) -> int:
    """Return the end of the last sentence in [earliest, target], else the last blank, else `target`."""
    ends = [match.end() for match in LINE_OR_SENTENCE_END.finditer(text, earliest, target)]
    return ends[-1] if ends else text.rfind(" ", earliest, target) + 1 or target


def best_of_pieces(scores: NDArray[np.float32], owners: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Return the best score of each passage, float32 (count,), from those of its pieces."""
    best = np.full(count, -np.inf, np.float32)
    np.maximum.at(best, owners, scores)
    return best
