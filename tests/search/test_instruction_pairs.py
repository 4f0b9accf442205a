"""Thirty questions with an instruction, over fifteen pairs of documents that answer the same question for others."""

import json
from pathlib import Path

import pytest

from rag_search import api
from rag_search.records import SearchOptions

PAIRS = json.loads(Path(__file__).with_name("instruction_pairs.json").read_text("utf-8"))
GOAL = 24


def test_instructions_choose_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The builtin engine puts the document first that says it is what the instruction asks for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ragsearch.toml").touch()
    for topic in PAIRS:
        for path, text in topic["documents"].items():
            file = tmp_path / "docs" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    settings = {"profile": "builtin"}
    api.ingest(["docs"], settings=settings)
    wrong = []
    with api.searching(settings=settings) as searcher:
        for topic in PAIRS:
            for ask in topic["asks"]:
                options = SearchOptions(instruction=ask["instruction"], min_score=float("-inf"), top_k=1)
                best = searcher.search(topic["question"], options).hits[0].chunk.path
                if best != f"docs/{ask['best']}":
                    wrong.append((ask["instruction"], topic["question"], best))
    assert sum(len(topic["asks"]) for topic in PAIRS) == 30
    assert 30 - len(wrong) >= GOAL, wrong
