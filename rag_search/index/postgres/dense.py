"""Nearest vectors in pgvector: exact, or by an HNSW index and exact scores of what it finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from rag_search.index.dense.exact import top
from rag_search.index.postgres.connection import Connection
from rag_search.index.postgres.filters import Selection
from rag_search.records import FloatVector

HNSW = "vectors_hnsw"
EXACT_ROWS = 20_000  # vectors; up to here a scan is as fast as the index and misses nothing
MAX_HNSW_DIM = 4000  # of pgvector
SMALL_SELECTION = 20_000  # chunks; up to here a filtered search looks at each of them
MAX_ASKED = 16_384  # rows of one search in Milvus
_SPARE = 50
_SPARE_OF_OTHERS = 150  # their index is approximate, and has rows that this snapshot does not know

Ids = NDArray[np.int64]
Found = dict[int, FloatVector]


def has_hnsw(connection: Connection) -> bool:
    """Return whether this edition has its approximate index."""
    return connection.execute("SELECT to_regclass(%s) IS NOT NULL", (HNSW,)).fetchone() == (True,)


def build_hnsw(connection: Connection) -> None:
    """Build the approximate index; a second or so for a thousand vectors."""
    connection.execute("SET LOCAL maintenance_work_mem = '1GB'")
    connection.execute(f"CREATE INDEX {HNSW} ON vectors USING hnsw (embedding halfvec_ip_ops)")


def nearest(
    connection: Connection, query: FloatVector, top_k: int, *, selection: Selection | None, hnsw: bool
) -> tuple[Ids, FloatVector, Found]:
    """Return ids and dot products of the best `top_k`, and the vectors that were read, by id.

    The server compares with the query rounded to 16 bits. Rounding moves a score by at most the length of what was
    rounded off, so the search asks for more rows until no row outside can belong to the best.
    """
    rounded = query.astype(np.float16)
    slack = float(np.linalg.norm(query - rounded.astype(np.float32))) + 1e-5
    count = top_k + _SPARE
    while True:
        rows = _rows(connection, HalfVector(rounded), count, selection, hnsw=hnsw)
        found = {number: vector.to_numpy().astype(np.float32) for number, vector in rows}
        ids = np.fromiter(found, np.int64, len(found))
        scores = _scores(found, query)
        best_ids, best_scores = top(ids, scores, top_k)
        if hnsw or len(rows) < count or float(scores[-1]) + 2 * slack < float(best_scores[-1]):
            return best_ids, best_scores, found
        count *= 2


def nearest_of(
    connection: Connection,
    query: FloatVector,
    top_k: int,
    ask: Callable[[int], Ids],
    *,
    selection: Selection | None,
) -> tuple[Ids, FloatVector, Found]:
    """Return what `nearest` returns, of rows that another store found near.

    ask: returns the ids of that many rows. Rows that this snapshot does not know are dropped; when too few are left,
    the store is asked for more, and at last the selection is searched here.
    """
    if selection is not None and _is_small(connection, selection):
        return nearest(connection, query, top_k, selection=selection, hnsw=False)
    count = min(top_k + _SPARE_OF_OTHERS, MAX_ASKED)
    while True:
        ids = ask(count)
        rows = _known(connection, ids, selection)
        if len(rows) >= top_k or len(ids) < count:
            break
        if count == MAX_ASKED:
            return nearest(connection, query, top_k, selection=selection, hnsw=False)
        count = min(count * 4, MAX_ASKED)
    found = {number: vector.to_numpy().astype(np.float32) for number, vector in rows}
    return *top(np.fromiter(found, np.int64, len(found)), _scores(found, query), top_k), found


def _known(connection: Connection, ids: Ids, selection: Selection | None) -> list[tuple[Any, ...]]:
    """Return those of the rows that this snapshot and the selection have."""
    statement, values = "SELECT vectors.id, embedding FROM vectors", [ids.tolist()]
    if selection is None:
        return connection.execute(f"{statement} WHERE id = ANY(%s)", values, binary=True).fetchall()
    statement += f""" JOIN chunks USING (id) JOIN documents ON documents.id = document
        WHERE vectors.id = ANY(%s) AND {selection.condition}"""
    return connection.execute(statement, [*values, *selection.values], binary=True).fetchall()


def _scores(found: Found, query: FloatVector) -> FloatVector:
    if not found:
        return np.empty(0, np.float32)
    scores: FloatVector = np.stack(list(found.values())) @ query
    return scores


def _rows(
    connection: Connection, query: HalfVector, count: int, selection: Selection | None, *, hnsw: bool
) -> list[tuple[Any, ...]]:
    nearest_first = "ORDER BY embedding <#> %s LIMIT %s"
    if selection is None:
        statement = f"SELECT id, embedding FROM vectors {nearest_first}"
        return connection.execute(statement, (query, count), binary=True).fetchall()
    source = f"""vectors JOIN chunks USING (id) JOIN documents ON documents.id = document WHERE {selection.condition}"""
    if hnsw and not _is_small(connection, selection):
        statement = f"SELECT vectors.id, embedding FROM {source} {nearest_first}"
        rows = connection.execute(statement, (*selection.values, query, count), binary=True).fetchall()
        if len(rows) == count:
            return rows
    statement = f"""WITH chosen AS MATERIALIZED (SELECT vectors.id, embedding FROM {source})
        SELECT id, embedding FROM chosen {nearest_first}"""
    return connection.execute(statement, (*selection.values, query, count), binary=True).fetchall()


def _is_small(connection: Connection, selection: Selection) -> bool:
    """Return whether a filtered search can look at every chunk."""
    statement = f"""SELECT count(*) FROM (SELECT FROM documents JOIN chunks ON document = documents.id
        WHERE {selection.condition} LIMIT {SMALL_SELECTION + 1}) AS few"""
    row = connection.execute(statement, selection.values).fetchone()
    return row is not None and int(row[0]) <= SMALL_SELECTION
