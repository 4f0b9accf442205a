"""TREC run and qrels lines: the format that every evaluation tool reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence


def trec_run(run: Mapping[str, Sequence[tuple[str, float]]], tag: str) -> Iterator[str]:
    """`qid Q0 docid rank score tag`, one line per hit. `run`: query id -> (document id, score), best first."""
    for query_id, ranking in run.items():
        for rank, (document_id, score) in enumerate(ranking, 1):
            yield f"{trec_token(query_id)} Q0 {trec_token(document_id)} {rank} {score:.6f} {tag}\n"


def trec_token(text: str) -> str:
    """An id without white space, which would break the line into other fields."""
    return "%20".join(text.split())
