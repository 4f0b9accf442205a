"""Write TREC run and qrels lines, the format that every evaluation tool reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

import numpy as np

from rag_search.text.sanitize import visible


def trec_run(run: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> Iterator[str]:
    """Yield `qid Q0 docid rank score tag`, one line per hit. run: query id -> (document id, score), best first.

    Tools order by score, break ties by document id and ignore the rank, and trec_eval keeps scores in 32 bits. So the
    scores fall by at least one step of a 32-bit number, in the order of the ranking.
    """
    lowest = np.float32(-np.inf)
    for query_id, ranking in run.items():
        written = np.float32(np.inf)
        for rank, (document_id, score) in enumerate(ranking, 1):
            written = min(np.float32(score), np.nextafter(written, lowest))
            yield f"{trec_token(query_id)} Q0 {trec_token(document_id)} {rank} {written:.9g} {tag}\n"


def trec_token(text: str) -> str:
    """Percent-encode white space in an id, which would split the line, and what a terminal would obey."""
    return "".join(quote(char, safe="", errors="surrogatepass") if _needs_quotes(char) else char for char in text)


def _needs_quotes(char: str) -> bool:
    return char.isspace() or visible(char) != char
