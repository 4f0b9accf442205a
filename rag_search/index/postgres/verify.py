"""Check an index in PostgreSQL: everything that is kept twice, or with a checksum, is compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, islice
from typing import Any

import numpy as np

from rag_search.index.postgres import postings, rows, state
from rag_search.index.postgres.connection import Connection, Place
from rag_search.index.postgres.snapshot import Snapshot
from rag_search.index.postgres.vectors import VectorStore, open_vectors, require_recorded
from rag_search.index.store.encodings import row_checksums
from rag_search.index.store.layout import IndexManifest
from rag_search.index.store.rows import passage_hash
from rag_search.index.verification import MAX_PROBLEMS, Problem
from rag_search.records import Encoded, TokenVectors

_BATCH = 1000


def verify(place: Place) -> list[Problem]:
    """Check the newest generation; at most MAX_PROBLEMS of what is wrong, an empty list when it is sound.

    Changes nothing and does not stop a writer. Raises IndexMissingError, StoreUnavailableError, FingerprintError.
    """
    snapshot = Snapshot(place)
    try:
        with snapshot.connection() as connection:
            require_recorded(connection, place)
            vectors = open_vectors(place, snapshot.head.edition)
            problems = chain(_problems(connection, place), _copy_problems(connection, vectors) if vectors else ())
            return list(islice(problems, MAX_PROBLEMS))
    finally:
        snapshot.close()


def _problems(connection: Connection, place: Place) -> Iterator[Problem]:
    manifest = state.read_manifest(connection, place)
    yield from _count_problems(connection)
    counts: Counter[str] = Counter()
    terms = 0
    position: dict[str, Any] = {"document": None}
    with connection.cursor(name="verify", binary=True) as cursor:
        cursor.execute(
            "SELECT c.id, c.document, c.ordinal, c.checksum, c.passage_hash, c.token_rows, c.record, c.text, c.passage,"
            " c.terms, c.codes, v.embedding FROM chunks c LEFT JOIN vectors v USING (id) ORDER BY c.document, c.ordinal"
        )
        while found := cursor.fetchmany(_BATCH):
            yield from _chunk_problems(found, manifest, position)
            for row in found:
                line = postings.terms_of(bytes(row[9]).decode())
                terms += len(line)
                counts.update(set(line))
    yield from _posting_problems(connection, counts)
    if (known := state.read_totals(connection).terms) != terms:
        yield Problem("totals", f"count {known} terms, the chunks have {terms}")


def _count_problems(connection: Connection) -> Iterator[Problem]:
    totals = state.read_totals(connection)
    for table, known in (("documents", totals.documents), ("chunks", totals.chunks), ("vectors", totals.chunks)):
        row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        if row is None or row[0] != known:
            yield Problem(table, f"has {row[0] if row else 0} rows, totals says {known}")


def _copy_problems(connection: Connection, vectors: VectorStore) -> Iterator[Problem]:
    """Every vector is in the store that searches them."""
    with closing(vectors), connection.cursor(name="copies") as cursor:
        cursor.execute("SELECT id FROM vectors ORDER BY id")
        while rows := cursor.fetchmany(_BATCH):
            ids = [number for (number,) in rows]
            if (found := vectors.visible(ids)) != len(ids):
                yield Problem(vectors.place, f"has {found} of the {len(ids)} vectors from {ids[0]} to {ids[-1]}")


def _chunk_problems(
    found: list[tuple[Any, ...]], manifest: IndexManifest, position: dict[str, Any]
) -> Iterator[Problem]:
    for number, document, ordinal, checksum, digest, count, record, text, passage, _, codes, vector in found:
        place = f"chunk {number}"
        if vector is None:
            yield Problem(place, "has no vector")
            continue
        content = bytes(text).decode()
        if document != position["document"]:
            position.update(document=document, end=0, ordinal=0)
        fields = rows.fields_of(record)
        if (ordinal, fields["start"], fields["end"]) != (
            position["ordinal"],
            position["end"],
            position["end"] + len(content),
        ):
            yield Problem(place, "does not follow the chunk before it")
        position.update(end=fields["end"], ordinal=ordinal + 1)
        if passage_hash(bytes(passage).decode()) != bytes(digest):
            yield Problem(place, "its passage is not the one that was embedded")
        values = vector.to_numpy().astype(np.float32)[None]
        width = manifest.token_bytes
        tokens = (
            TokenVectors(np.frombuffer(bytes(codes), np.uint8).reshape(-1, width), np.array([count])) if width else None
        )
        if row_checksums(Encoded(values, tokens), [content]) != [checksum]:
            yield Problem(place, "its text or vectors are not the ones that were written")
        elif not abs(float(np.linalg.norm(values)) - 1) < 1e-3:
            yield Problem(place, f"its vector has length {float(np.linalg.norm(values)):.4f}")


def _posting_problems(connection: Connection, counts: Counter[str]) -> Iterator[Problem]:
    """Yield a problem for each term whose postings are not those of the chunks."""
    with connection.cursor(name="terms") as cursor:
        cursor.execute("SELECT term, sum(count)::bigint FROM postings GROUP BY term HAVING sum(count) <> 0")
        seen = 0
        for term, count in cursor:
            seen += 1
            if counts[term] != count:
                yield Problem(f"postings of {term!r}", f"name {count} chunks, {counts[term]} hold it")
    if seen != len(counts):
        yield Problem("postings", f"hold {seen} terms, the chunks have {len(counts)}")
