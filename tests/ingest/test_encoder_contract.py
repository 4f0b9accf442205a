"""What every encoder must do, one test for all of them; a new encoder is one more line here."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest

from rag_search.embed.base import Embedder
from rag_search.index import FileState
from rag_search.ingest import EncodedGroup, Encoder, LocalEncoder
from rag_search.ingest.encode import Stored, encode_group
from rag_search.ingest.prepare import Group, Item, Prepared
from rag_search.ingest.reports import Failure
from rag_search.records import Chunk, Document, Encoded
from tests.ingest.syncing import Counting
from tests.support.fakes import WordEmbedder

EMBEDDER = WordEmbedder(tokens=True)


@dataclass(frozen=True)
class PoolEncoder:
    """The smallest encoder that works elsewhere: groups are encoded ahead by a pool, and come back in order."""

    embedder: Embedder

    def encode(self, groups: Iterable[Group], stored: Stored) -> Generator[EncodedGroup, None, None]:
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(lambda group: encode_group(self.embedder, group, stored), groups)


every_encoder = pytest.mark.parametrize("make", [LocalEncoder, PoolEncoder])


def prepared(path: str, texts: Sequence[str]) -> Item:
    document = Document(path, path, "".join(texts), {}, "", "0" * 64)
    chunks = tuple(
        Chunk(path, path, number, text, (), 0, len(text), 1, 1, f"{path}\n{text}") for number, text in enumerate(texts)
    )
    return Item(1, Prepared(document, chunks, tuple(texts), FileState(1, 1, "0" * 64)))


GROUPS = [
    Group((prepared("a.md", ["one two", "three"]), Item(3, Failure("b.md", "is broken")), prepared("c.md", []))),
    Group((Item(5, None),)),
    Group((prepared("d.md", ["one two", "one two"]),)),
]


def nothing(passages: Sequence[str]) -> Mapping[str, Encoded]:
    return {}


@every_encoder
def test_groups_come_back_in_order(make: type[LocalEncoder]) -> None:
    """Every group comes back once, with one encoded form for each document."""
    encoder: Encoder = make(EMBEDDER)
    results = list(encoder.encode(iter(GROUPS), nothing))
    assert [result.group.items for result in results] == [group.items for group in GROUPS]
    for result in results:
        assert len(result.encoded) == len(result.group.documents)


@every_encoder
def test_rows_are_those_of_the_embedder(make: type[LocalEncoder]) -> None:
    """Vectors and token vectors equal those of one passage at a time, to the last bit."""
    for result in make(EMBEDDER).encode(iter(GROUPS), nothing):
        for document, encoded in zip(result.group.documents, result.encoded, strict=True):
            alone = [EMBEDDER.encode_documents([chunk.passage]) for chunk in document.chunks]
            assert encoded.vectors.shape == (len(alone), EMBEDDER.dim)
            assert encoded.tokens is not None
            for row, single in zip(encoded.vectors, alone, strict=True):
                np.testing.assert_array_equal(row, single.vectors[0])
            rows = [single.tokens.rows for single in alone if single.tokens]
            np.testing.assert_array_equal(encoded.tokens.rows, np.concatenate([encoded.tokens.rows[:0], *rows]))


@every_encoder
def test_stored_passages_are_not_encoded(make: type[LocalEncoder]) -> None:
    """Passages that the index has are taken from it; equal passages of a group are encoded once."""
    known = EMBEDDER.encode_documents(["a.md\nthree"])
    embedder = Counting()
    results = list(make(embedder).encode(iter(GROUPS), lambda passages: {"a.md\nthree": known}))
    assert sorted(embedder.seen) == ["a.md\none two", "d.md\none two"]  # type: ignore[attr-defined]
    assert [result.embedded for result in results] == [1, 0, 1]
    assert [result.tokens for result in results] == [4, 0, 4]


@every_encoder
def test_a_closed_encoder_stops(make: type[LocalEncoder]) -> None:
    """Closing the generator early ends it without an error."""
    results = make(EMBEDDER).encode(iter(GROUPS), nothing)
    next(results)
    results.close()
    assert list(results) == []
