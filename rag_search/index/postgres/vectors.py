"""A store that searches the vectors of an index beside the database, and what the writer does to keep it equal.

The database has every vector and is the only commit point. The other store has a copy of those rows under the same ids:
they are written and counted before the commit, and removed two generations after it. What a writer left behind that
never committed has ids that no commit has covered, and goes when the next writer opens the index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import ConfigError, StoreUnavailableError
from rag_search.index.postgres import sparse, state
from rag_search.index.postgres.connection import Connection, Place
from rag_search.index.postgres.sparse import Weights
from rag_search.records import FloatMatrix, FloatVector

Consistency = Literal["Strong", "Bounded"]
KEPT_GENERATIONS = 2  # readers of older ones may miss candidates
BOUND_S = 10.0  # after this time a bounded search finds what was written; Milvus promises 5 s
_BATCH = 2000


class VectorStore(Protocol):
    """Rows of one edition of an index. Every method may be repeated; ids come from the database."""

    place: str

    def version(self) -> str:
        """Return name and version of the server."""
        ...

    def create(self, dim: int) -> None:
        """Make the collection unless it is there."""
        ...

    def add(self, ids: Sequence[int], vectors: FloatMatrix, weights: Sequence[Weights] = ()) -> None:
        """Write rows; a row that is there already is written again. weights: of the terms of each row."""
        ...

    def visible(self, ids: Sequence[int]) -> int:
        """Return how many of the rows a strong search finds."""
        ...

    def delete(self, ids: Sequence[int]) -> None:
        """Remove rows; ids that are not there are left out."""
        ...

    def delete_range(self, first: int, last: int) -> None:
        """Remove the rows with ids from `first` to `last`."""
        ...

    def search(self, query: FloatVector, top_k: int, *, consistency: Consistency) -> NDArray[np.int64]:
        """Return the ids of the nearest rows, nearest first."""
        ...

    def search_terms(
        self, query: Weights, top_k: int, *, consistency: Consistency
    ) -> tuple[NDArray[np.int64], FloatVector]:
        """Return ids and inner products of the rows with the heaviest terms, best first."""
        ...

    def flush(self) -> None:
        """Have the server build its index over what was written."""
        ...

    def drop(self) -> None:
        """Remove the collection, if it is there."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def open_vectors(place: Place, edition: int) -> VectorStore | None:
    """Connect to the store that the settings name, None without one. Raises ConfigError, StoreUnavailableError."""
    if not place.vectors:
        return None
    from rag_search.index.postgres.milvus import MilvusVectors

    return MilvusVectors(place.vectors, edition, timeout_s=place.answer_s, has_terms=place.has_terms)


def name_of(place: Place) -> str:
    """Return what an index records of the store of its vectors; "" without one. Raises ConfigError."""
    if not place.vectors:
        return ""
    from rag_search.index.postgres.milvus import collection_of

    return f"milvus {collection_of(place.vectors)}" + (" with terms" if place.has_terms else "")


def require_recorded(connection: Connection, place: Place) -> None:
    """Raise ConfigError unless the index has its vectors where the settings say."""
    recorded = state.read_meta(connection, "vectors") or ""
    if recorded != name_of(place):
        here, there = recorded or "this database alone", name_of(place) or "this database alone"
        raise ConfigError(
            f"{place} has its vectors in {here}, and the settings say {there}.",
            remedy="Change store.vectors and store.bm25, or run: ragsearch ingest --rebuild",
        )


@dataclass(frozen=True)
class VectorCopy:
    """Keeps a vector store equal to the table of vectors."""

    store: VectorStore
    has_terms: bool = False

    def sweep(self, connection: Connection) -> None:
        """Remove the rows of a writer that did not commit."""
        row = connection.execute("SELECT swept, last_value FROM head, chunk_ids").fetchone()
        if row is not None:
            self.store.delete_range(row[0] + 1, row[1])

    def publish(self, connection: Connection) -> int:
        """Write the new rows of the open transaction, wait until strong searches find them, and return their number.

        Raises StoreUnavailableError when they do not: nothing may be committed then.
        """
        row = connection.execute("SELECT swept FROM head").fetchone()
        total = 0
        for ids in self._write_rows(connection, after=row[0] if row else 0):
            total += len(ids)
            if self.store.visible(ids) != len(ids):
                raise StoreUnavailableError(
                    f"{self.store.place} does not show rows that it has taken.", remedy="Run the command again."
                )
        return total

    def reweigh(self, connection: Connection, *, drift: float = sparse.DRIFT) -> bool:
        """Write all rows anew when the mean length of chunks has moved by more than `drift`; return whether it has."""
        if not self.has_terms or not sparse.has_drifted(connection, drift):
            return False
        sparse.renew_mean(connection)
        for _ in self._write_rows(connection, after=0):
            pass
        return True

    def _write_rows(self, connection: Connection, *, after: int) -> Iterator[list[int]]:
        """Write the rows with ids beyond `after`, and yield the ids of each batch."""
        source = "terms FROM vectors JOIN chunks USING (id)" if self.has_terms else "NULL FROM vectors"
        query = f"SELECT id, embedding, {source} WHERE id > %s ORDER BY id LIMIT %s"
        while rows := connection.execute(query, (after, _BATCH), binary=True).fetchall():
            ids = [number for number, _, _ in rows]
            lines = [bytes(line).decode() for _, _, line in rows] if self.has_terms else []
            weights = sparse.weights_of(connection, lines) if lines else []
            self.store.add(ids, np.array([vector.to_numpy() for _, vector, _ in rows], np.float32), weights)
            yield ids
            after = ids[-1]

    def bury(self, connection: Connection, ids: Sequence[int]) -> None:
        """Note removed rows, which readers of this generation still search."""
        connection.execute(
            "INSERT INTO buried (id, generation) SELECT unnest(%s::bigint[]), generation FROM head", (list(ids),)
        )

    def purge(self, connection: Connection) -> None:
        """Remove rows that were buried KEPT_GENERATIONS ago."""
        old = "generation <= (SELECT generation FROM head) - %s"
        rows = connection.execute(f"SELECT id FROM buried WHERE {old}", (KEPT_GENERATIONS,)).fetchall()
        if rows:
            self.store.delete([number for (number,) in rows])
            connection.execute(f"DELETE FROM buried WHERE {old}", (KEPT_GENERATIONS,))
