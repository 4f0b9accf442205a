"""TREC run and qrels lines: the format that every evaluation tool reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

STEP = 1e-6  # the last digit written


def trec_run(run: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> Iterator[str]:
    """`qid Q0 docid rank score tag`, one line per hit. `run`: query id -> (document id, score), best first.

    Tools order by score and break ties by document id, whatever the rank says; so equal scores are written a
    millionth apart, in the order of the ranking.
    """
    for query_id, ranking in run.items():
        written = math.inf
        for rank, (document_id, score) in enumerate(ranking, 1):
            written = min(round(score, 6), written - STEP)
            yield f"{trec_token(query_id)} Q0 {trec_token(document_id)} {rank} {written:.6f} {tag}\n"


def trec_token(text: str) -> str:
    """An id without white space, which would break the line into other fields."""
    return "%20".join(text.split())
