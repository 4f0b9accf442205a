"""An evaluation over a database is that over the folder, to the digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rag_search.evaluation.dataset import load_dataset
from rag_search.evaluation.evaluate import Evaluation, evaluate
from rag_search.index.store.layout import IndexManifest
from rag_search.ingest import sync_folders
from rag_search.search.searcher import Searcher
from tests.stores.harness import StoreUnderTest
from tests.support.fakes import OverlapReranker, WordEmbedder

CORPUS = Path(__file__).parents[2] / "corpus"
EMBEDDER = WordEmbedder(tokens=True)
MANIFEST = IndexManifest("words", EMBEDDER.fingerprint, EMBEDDER.dim, EMBEDDER.token_dim, "1")


def evaluated(store: StoreUnderTest) -> Evaluation:
    """Ingest the bundled corpus and ask the questions of its development part."""
    with store.writer(MANIFEST) as writer:
        sync_folders(writer, EMBEDDER, [CORPUS / "docs"], base=CORPUS / "docs")
    with store.reader() as reader:
        return evaluate(
            lambda: Searcher(reader, EMBEDDER, OverlapReranker()),
            load_dataset(CORPUS, split="dev"),
            document_id=lambda path: path,
        )


def figures(evaluation: Evaluation) -> dict[str, Any]:
    return {
        result.system: {
            "values": {name: dict(values) for name, values in result.values.items()},
            "run": {query: [place for place, _ in found] for query, found in result.run.items()},
        }
        for result in evaluation.systems
    }


@pytest.mark.slow
def test_evaluation_is_that_of_the_local_store(store: StoreUnderTest, local: StoreUnderTest) -> None:
    pytest.importorskip("ir_measures")
    assert figures(evaluated(store)) == figures(evaluated(local))
