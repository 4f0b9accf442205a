"""Write TREC run and qrels lines, the format that every evaluation tool reads."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

STEP = 1e-6  # the last digit written


def trec_run(run: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> Iterator[str]:
    """Yield `qid Q0 docid rank score tag`, one line per hit. run: query id -> (document id, score), best first.

    Tools order by score, break ties by document id and ignore the rank. So equal scores are written a millionth apart,
    in the order of the ranking.
    """
    for query_id, ranking in run.items():
        written = math.inf
        for rank, (document_id, score) in enumerate(ranking, 1):
            written = min(round(score, 6), written - STEP)
            yield f"{trec_token(query_id)} Q0 {trec_token(document_id)} {rank} {written:.6f} {tag}\n"


def trec_token(text: str) -> str:
    """Replace white space in an id, which would split the line into other fields."""
    return "%20".join(text.split())
