"""Which chunks hold a term, and how often: rows that are only ever added.

Each commit adds a segment: one row for each of its terms, with an entry for each chunk that holds it. Removing a chunk
adds the same entries with sign -1, so the number of chunks with a term is a sum over few short rows, and nothing is
updated in place. Segments of one size are joined when there are FANOUT of them; both happens inside the commit.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from rag_search.index.postgres.connection import Connection
from rag_search.index.postings import folded
from rag_search.index.store.database import TOKENS

ENTRY = np.dtype([("chunk", "<i8"), ("times", "<u4"), ("length", "<u4")])
FANOUT = 8
_SMALLEST = 1 << 15  # postings in a segment of the first size
_LONGEST_TERM = 200  # bytes; a B-tree takes 2,704

Entries = NDArray[np.void]


def terms_of(line: str) -> list[str]:
    """Return the terms of a chunk as they are stored, from its line of terms."""
    return [key_of(term) for term in TOKENS.findall(line)]


@lru_cache(maxsize=1 << 16)  # 10 MB; the same words come again and again
def key_of(term: str) -> str:
    """Return a term as it is stored: folded, and a very long one by its hash."""
    term = folded(term)
    content = term.encode("utf-8", "surrogatepass")
    if len(content) <= _LONGEST_TERM:
        return term
    return f"{term[:20]}\x01{sha256(content).hexdigest()}"


class _Numbers(dict[str, int]):
    """The number of each token; tokens that are stored as one term share it. terms: stored terms by their number."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: dict[str, int] = {}

    def __missing__(self, token: str) -> int:
        number = self[token] = self.terms.setdefault(key_of(token), len(self.terms))
        return number


@dataclass
class SegmentBuilder:
    """Postings of one commit. terms: tokens that were added, less those that were removed."""

    terms: int = 0
    _numbers: _Numbers = field(default_factory=_Numbers)
    _tokens: array[int] = field(default_factory=lambda: array("q"))  # numbers, chunk after chunk
    _chunks: list[tuple[int, int, int]] = field(default_factory=list)  # id, tokens, sign

    def add(self, chunk: int, line: str, *, sign: int) -> None:
        """Add the terms of one chunk. sign: 1 for a chunk that is added, -1 for one that is removed."""
        numbers = self._numbers
        tokens = [numbers[token] for token in TOKENS.findall(line)]
        self._tokens.fromlist(tokens)
        self._chunks.append((chunk, len(tokens), sign))
        self.terms += sign * len(tokens)

    def write(self, connection: Connection) -> None:
        """Write the segment and join segments where there are many."""
        if not self._tokens:
            return
        groups, entries = self._grouped()
        segment = _new_segment(connection, len(entries))
        with connection.cursor().copy(
            "COPY postings (term, segment, sign, count, entries) FROM STDIN (FORMAT BINARY)"
        ) as copy:
            copy.set_types(["text", "int8", "int2", "int8", "bytea"])
            for term, sign, start, stop in groups:
                copy.write_row((term, segment, sign, sign * (stop - start), entries[start:stop].tobytes()))
        _join(connection)

    def _grouped(self) -> tuple[Iterator[tuple[str, int, int, int]], Entries]:
        """Return term, sign, start and stop of each row, and the entries that they cut."""
        ids, lengths, signs = np.array(self._chunks, np.int64).T
        terms = list(self._numbers.terms)
        owners = np.repeat(np.arange(len(ids)), lengths)
        groups = np.frombuffer(self._tokens, np.int64) + len(terms) * (signs < 0)[owners]
        pairs, times = np.unique(groups * len(ids) + owners, return_counts=True)
        groups, owners = np.divmod(pairs, len(ids))
        entries = np.empty(len(pairs), ENTRY)
        entries["chunk"], entries["times"], entries["length"] = ids[owners], times, lengths[owners]
        starts = np.flatnonzero(np.diff(groups, prepend=-1))
        rows = zip(groups[starts].tolist(), starts.tolist(), [*starts[1:].tolist(), len(pairs)], strict=True)
        return ((terms[g % len(terms)], 1 if g < len(terms) else -1, start, stop) for g, start, stop in rows), entries


def _new_segment(connection: Connection, postings: int) -> int:
    row = connection.execute("INSERT INTO segments (postings) VALUES (%s) RETURNING id", (postings,)).fetchone()
    assert row is not None
    return int(row[0])


def _join(connection: Connection) -> None:
    """Join segments of about one size until there are fewer than FANOUT of each."""
    while True:
        sizes: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for segment, postings in connection.execute("SELECT id, postings FROM segments ORDER BY id").fetchall():
            sizes[_size_class(postings)].append((segment, postings))
        full = next((found for _, found in sorted(sizes.items()) if len(found) >= FANOUT), None)
        if full is None:
            return
        join_segments(connection, [segment for segment, _ in full], sum(postings for _, postings in full))


def join_segments(connection: Connection, segments: Sequence[int], postings: int) -> None:
    """Replace segments by one with all their entries."""
    joined = _new_segment(connection, postings)
    connection.execute(
        "INSERT INTO postings SELECT term, %s, sign, sum(count)::bigint, string_agg(entries, ''::bytea)"
        " FROM postings WHERE segment = ANY(%s) GROUP BY term, sign",
        (joined, list(segments)),
    )
    connection.execute("DELETE FROM postings WHERE segment = ANY(%s)", (list(segments),))
    connection.execute("DELETE FROM segments WHERE id = ANY(%s)", (list(segments),))


def _size_class(postings: int) -> int:
    size = 0
    while postings > _SMALLEST:
        postings //= FANOUT
        size += 1
    return size


def count_chunks(connection: Connection, terms: Iterable[str]) -> dict[str, int]:
    """Return the number of chunks that hold each stored term; terms that no chunk holds are left out."""
    query = "SELECT term, sum(count)::bigint FROM postings WHERE term = ANY(%s) GROUP BY term"
    return {term: count for term, count in connection.execute(query, (list(terms),)) if count > 0}


def read_postings(connection: Connection, terms: Sequence[str]) -> dict[str, Entries]:
    """Return the entries of each stored term, by ascending chunk, without removed chunks."""
    added: dict[str, list[bytes]] = defaultdict(list)
    removed: dict[str, list[bytes]] = defaultdict(list)
    query = "SELECT term, sign, entries FROM postings WHERE term = ANY(%s)"
    for term, sign, entries in connection.cursor(binary=True).execute(query, (list(terms),)):
        (added if sign > 0 else removed)[term].append(bytes(entries))
    return {term: _live(added[term], removed[term]) for term in terms}


def _live(added: Sequence[bytes], removed: Sequence[bytes]) -> Entries:
    entries = np.frombuffer(b"".join(added), ENTRY)
    if removed:
        gone = np.frombuffer(b"".join(removed), ENTRY)["chunk"]
        entries = entries[~np.isin(entries["chunk"], gone)]
    return entries[np.argsort(entries["chunk"], kind="stable")]
