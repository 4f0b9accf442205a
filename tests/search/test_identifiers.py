"""Identifiers of ten kinds that one passage of the bundled corpus has: asked alone, that passage is shown first."""

from collections import Counter
from pathlib import Path

import pytest

from rag_search import api
from rag_search.config import load_config
from rag_search.index import open_reader
from tests.support.bundled import DOCS
from tests.support.identifiers import KINDS, single_identifiers

LEAST = 200  # identifiers
SHARE = 0.97


@pytest.mark.slow
def test_identifiers_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After reranking and threshold, at least 97 of 100 are the first hit."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ragsearch.toml").touch()
    settings = {"profile": "builtin"}
    api.ingest([DOCS], settings=settings)
    with open_reader(load_config(settings).index_dir) as reader:
        asked = single_identifiers(reader, per_kind=30)
    assert len(asked) >= LEAST
    assert {kind for kind, _, _ in asked} == set(KINDS)
    wrong = []
    with api.searching(settings=settings) as searcher:
        results = searcher.search_many([("\\" + text.lstrip("-"), searcher.defaults) for _, text, _ in asked])
    for (kind, text, chunk_id), found in zip(asked, results, strict=True):
        if not found.hits or found.hits[0].chunk.chunk_id != chunk_id:
            wrong.append((kind, text, found.hits[0].chunk.path if found.hits else "nothing confident"))
    assert len(wrong) <= (1 - SHARE) * len(asked), (Counter(kind for kind, _, _ in asked), wrong)
