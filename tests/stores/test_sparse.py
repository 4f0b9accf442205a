"""BM25 as sparse vectors in Milvus: ranks and scores as the local store does, once the weights are of the same mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from rag_search.errors import ConfigError
from tests.index.world import MANIFEST, put
from tests.stores.harness import StoreUnderTest, item
from tests.stores.test_search import QUERIES, by_place, documents
from tests.support.databases import LiteServer, MilvusServer, PostgresServer

_NUMBERS = count()
FILTERS = ({}, {"path_glob": ["docs"]}, {"where": {"lang": "en"}}, {"path_glob": ["nowhere"]})


@pytest.fixture
def sparse(postgres: PostgresServer, lite: LiteServer) -> Iterator[StoreUnderTest]:
    """A store whose terms are in Milvus, too."""
    number = next(_NUMBERS)
    vectors = f"{lite.url}_terms_{number}_{time.monotonic_ns()}"
    yield StoreUnderTest(
        Path("unused"), postgres.url, f"terms-{number}", vectors=vectors, answer_s=30.0, has_terms=True
    )


def assert_ranks_alike(store: StoreUnderTest, local: StoreUnderTest, *, atol: float) -> None:
    """All questions and filters find the same chunks, with scores that differ by at most `atol`."""
    with store.reader() as reader, local.reader() as original:
        for terms in QUERIES:
            for conditions in FILTERS:
                ids, scores = reader.search_lexical(terms, 40, allowed=reader.select(**conditions))
                truth, wanted = original.search_lexical(terms, 40, allowed=original.select(**conditions))
                np.testing.assert_allclose(scores, wanted, atol=atol)
                if len(truth) < 40:  # of equal scores, each store takes others at the cut
                    found = [place for _, *place in by_place(reader, ids, np.zeros(len(ids)))]
                    assert found == [place for _, *place in by_place(original, truth, np.zeros(len(truth)))]


def test_ranking_is_that_of_the_local_store(sparse: StoreUnderTest, local: StoreUnderTest) -> None:
    for store in (sparse, local):
        with store.writer() as writer:
            put(writer, [*documents(60), item("no-terms.md", ["\n"])])
            writer.commit()
    assert_ranks_alike(sparse, local, atol=1e-5)
    assert sparse.verify() == []


def test_weights_follow_the_mean_length(sparse: StoreUnderTest, local: StoreUnderTest) -> None:
    """Long documents move the mean: `maintain` writes all weights anew, and removed chunks are not found."""
    from rag_search.index.postgres import sparse as weights

    longer = [item(f"long/{number}.md", ["redis timeout pool " * 40 + "\n"]) for number in range(20)]
    for store in (sparse, local):
        with store.writer() as writer:
            put(writer, documents(40))
            writer.commit()
            put(writer, longer)
            writer.remove([longer[0].path, "docs/0.md"])
            writer.commit()
            if store is sparse:
                assert weights.has_drifted(writer._session.connection, weights.DRIFT)
            writer.maintain()
            if store is sparse:
                assert not weights.has_drifted(writer._session.connection, 1e-12)
    assert_ranks_alike(sparse, local, atol=1e-5)


def test_an_index_says_where_its_terms_are(sparse: StoreUnderTest) -> None:
    from dataclasses import replace

    with sparse.writer() as writer:
        put(writer, documents(3))
        writer.commit()
    with pytest.raises(ConfigError, match="with terms"):
        replace(sparse, has_terms=False).reader()


def test_a_server_without_sparse_vectors_is_refused(postgres: PostgresServer, milvus: MilvusServer) -> None:
    vectors = f"{milvus.url}_terms_{time.monotonic_ns()}"
    store = StoreUnderTest(Path("unused"), postgres.url, "old-server", vectors=vectors, answer_s=30.0, has_terms=True)
    with pytest.raises(ConfigError, match="has no sparse vectors"):
        store.writer(MANIFEST)
