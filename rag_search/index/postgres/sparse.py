"""BM25 as sparse vectors: the inner product of a chunk's and a query's is the BM25 score.

A chunk has a weight for each of its terms, which follows from their number and from the mean length of chunks; a query
has the rarity of each of its terms. The mean is the one of the day on which the weights were written: it is recorded,
and the weights are written anew when it has moved by DRIFT. Terms are numbered in the database, where a number is never
given out twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rag_search.index.postgres import postings, state
from rag_search.index.postgres.bm25 import Bm25, best, saturated
from rag_search.index.postgres.connection import Connection
from rag_search.index.postgres.dense import MAX_ASKED
from rag_search.index.postgres.filters import Selection
from rag_search.records import FloatVector

Ids = NDArray[np.int64]
Weights = Mapping[int, float]
Ask = Callable[[Weights, int], tuple[Ids, FloatVector]]

TABLE = 'CREATE TABLE term_numbers (term text COLLATE "C" PRIMARY KEY, number bigint GENERATED ALWAYS AS IDENTITY)'
DRIFT = 0.05  # of the mean; the best chunk is then the same for 99 of 100 questions
_NO_TERMS = {0: 1e-9}  # numbers start at 1; a sparse vector must not be empty
_SPARE = 50


def weights_of(connection: Connection, lines: Sequence[str]) -> list[Weights]:
    """Return the weights of chunks with these lines of terms. Records new terms, and the mean if none is recorded."""
    mean = recorded_mean(connection) or _record_mean(connection)
    counts = [Counter(postings.terms_of(line)) for line in lines]
    numbers = _number_terms(connection, {term for each in counts for term in each})
    weights: list[Weights] = []
    for each in counts:
        times = np.fromiter(each.values(), np.int64, len(each))
        values = saturated(times, np.full(len(each), each.total()), mean).tolist()
        weights.append({numbers[term]: value for term, value in zip(each, values, strict=True)} or _NO_TERMS)
    return weights


def recorded_mean(connection: Connection) -> float | None:
    """Return the mean that the weights were written with; None before the first ones."""
    recorded = state.read_meta(connection, "mean")
    return None if recorded is None else float(recorded)


def has_drifted(connection: Connection, drift: float) -> bool:
    """Return whether the mean has moved by more than a share of `drift`."""
    recorded = recorded_mean(connection)
    return recorded is not None and abs(_mean(connection) / recorded - 1) > drift


def renew_mean(connection: Connection) -> None:
    """Record the present mean: all weights are about to be written anew."""
    _record_mean(connection)


def search(
    connection: Connection, bm25: Bm25, ask: Ask, terms: Sequence[str], top_k: int, *, selection: Selection | None
) -> tuple[Ids, FloatVector] | None:
    """Return ids and scores of the best `top_k`; None when too few of the best rows are known or selected.

    ask: returns ids and scores of that many rows.
    """
    rarities = bm25.rarities(connection, terms)
    numbers = _read_numbers(connection, rarities)
    query = {numbers[term]: rarity for term, rarity in rarities.items() if term in numbers}
    if not query:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    count = min(top_k + _SPARE, MAX_ASKED)
    while True:
        ids, scores = ask(query, count)
        known = np.isin(ids, _known(connection, ids, selection))
        if int(known.sum()) >= top_k or len(ids) < count:
            return best(ids[known], scores[known].astype(np.float64), top_k)
        if count == MAX_ASKED:
            return None
        count = min(count * 4, MAX_ASKED)


def _known(connection: Connection, ids: Ids, selection: Selection | None) -> list[int]:
    """Return those of the rows that this snapshot and the selection have."""
    statement, values = "SELECT chunks.id FROM chunks", [ids.tolist()]
    if selection is None:
        rows = connection.execute(f"{statement} WHERE id = ANY(%s)", values)
    else:
        statement += f" JOIN documents ON documents.id = document WHERE chunks.id = ANY(%s) AND {selection.condition}"
        rows = connection.execute(statement, [*values, *selection.values])
    return [number for (number,) in rows]


def _mean(connection: Connection) -> float:
    totals = state.read_totals(connection)
    return totals.terms / max(1, totals.chunks)


def _record_mean(connection: Connection) -> float:
    mean = _mean(connection)
    state.write_meta(connection, "mean", repr(mean))
    return mean


def _number_terms(connection: Connection, terms: Collection[str]) -> dict[str, int]:
    connection.execute(
        "INSERT INTO term_numbers (term) SELECT term FROM unnest(%s::text[]) AS new (term)"
        " WHERE NOT EXISTS (SELECT FROM term_numbers old WHERE old.term = new.term)",
        (sorted(terms),),
    )
    return _read_numbers(connection, terms)


def _read_numbers(connection: Connection, terms: Collection[str]) -> dict[str, int]:
    rows = connection.execute("SELECT term, number FROM term_numbers WHERE term = ANY(%s)", (list(terms),))
    return {str(term): int(number) for term, number in rows}
