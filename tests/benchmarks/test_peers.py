"""The comparison with other tools: what is searched, the shared vectors, the tables."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import data, quality, quality_report, setup, speed, speed_report
from benchmarks.peers.protocol import documents_of, shared_vectors
from benchmarks.peers.vectors import served
from rag_search.evaluation.dataset import load_dataset

FILES, PASSAGES_EACH = 40, 3
SYSTEMS = Path(setup.__file__).with_name("systems")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A BEIR folder with 40 files of three passages; question n is answered by the second passage of file n."""
    folder = tmp_path / "data" / "python-docs"
    (folder / "qrels").mkdir(parents=True)
    rows = [
        {"_id": f"f{file}.md#s{part}", "title": f"File {file}", "text": f"part {part} of file {file}"}
        for file in range(FILES)
        for part in range(PASSAGES_EACH)
    ]
    questions = [{"_id": f"q{number}", "text": f"question {number}"} for number in range(10)]
    qrels = "".join(f"q{number}\tf{number}.md#s1\t1\n" for number in range(10))
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions), "utf-8")
    (folder / "qrels" / "faq.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels, "utf-8")
    return folder.parent


def test_a_reduced_set_keeps_the_right_files(large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reduced set keeps every passage of the right files, and is the same twice."""
    monkeypatch.setattr(data, "QUERIES", 6)
    monkeypatch.setattr(data, "PASSAGES", {"python-docs": 30})
    first = data.reduced_set(large, "python-docs", tmp_path / "a")
    second = data.reduced_set(large, "python-docs", tmp_path / "b")
    assert first.documents == second.documents
    assert len(first.documents) == 30
    assert len(first.dataset.judged) == 6
    for query in first.dataset.judged:
        file = f"f{query.query_id[1:]}.md"
        assert {f"{file}#s{part}" for part in range(PASSAGES_EACH)} <= set(first.documents)
        assert first.dataset.qrels[query.query_id] == {f"{file}#s1": 1}


def test_a_peers_process_gets_the_vectors_of_its_texts() -> None:
    def lengths(texts: list[str]) -> np.ndarray:
        return np.array([[len(text), 1] for text in texts], np.float32)

    with served(lengths) as address:
        embed = shared_vectors(address)
        assert embed(["a", "abc"]).tolist() == [[1, 1], [3, 1]]
        assert embed(["ab"]).tolist() == [[2, 1]]


def test_a_document_stands_where_its_best_piece_does() -> None:
    assert documents_of(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]


def test_rows_over_other_documents_are_refused(large: Path, tmp_path: Path) -> None:
    bench = data.reduced_set(large, "python-docs", tmp_path / "a")
    run = {query.query_id: [f"f{query.query_id[1:]}.md#s1"] for query in bench.dataset.judged}
    row = quality.row_of(run, bench, "peer")
    assert (row["top1"], row["ndcg@10"]) == (1.0, 1.0)
    results = {"sets": {"python-docs": {"made_of": quality._made_of(bench), "rows": {"x": row}}}}
    assert quality._kept_rows(results, bench, whole=False) == {"x": row}
    results["sets"]["python-docs"]["made_of"] = "something else"
    with pytest.raises(SystemExit, match="have changed"):
        quality._kept_rows(results, bench, whole=False)
    assert quality._kept_rows(results, bench, whole=True) == {}


def test_the_table_compares_question_by_question(large: Path, tmp_path: Path) -> None:
    """The table compares question by question and names the tools that did not run."""
    bench = data.reduced_set(large, "python-docs", tmp_path / "a")
    right = {query.query_id: [f"f{query.query_id[1:]}.md#s1"] for query in bench.dataset.judged}
    first = next(iter(right))
    rows = {
        "ragsearch rerank": quality.row_of(right, bench, "ours"),
        "a peer": quality.row_of({**right, first: ["f39.md#s0", *right[first]]}, bench, "peer"),
        "another": {"group": "peer", "not_run": "no model"},
    }
    out = quality_report.as_markdown({"sets": {"python-docs": {"description": "the set", "rows": rows}}})
    assert "| a peer | 0.900 |" in out
    assert "| 1, 0 |" in out
    assert "| another | not run: no model |" in out


def test_the_bundled_corpus_is_judged_by_file() -> None:
    bench = data.bundled_corpus()
    judged = {document for query in bench.dataset.judged for document in bench.dataset.qrels[query.query_id]}
    assert judged <= set(bench.documents)
    assert {query.split for query in bench.tuning.judged} == {"dev"}
    assert load_dataset(data.CORPUS, split="test").judged == bench.dataset.judged


def test_every_tool_has_a_module_and_pinned_versions() -> None:
    for tool in (*quality.TOOLS.values(), *speed.TOOLS.values()):
        assert (SYSTEMS / f"{tool.module}.py").is_file()
        lines = (SYSTEMS.parent / f"requirements-{tool.environment}.txt").read_text("utf-8").splitlines()
        assert lines
        assert all("==" in line for line in lines)


def _measured(name: str, **where: object) -> dict[str, object]:
    side = {
        "documents_per_s": 1.0, "tokens_per_s": 2.0, "ingest_process_s": 3.0, "ingest_mb": 4.0, "cold_ms": 5.0,
        "cold_mb": 6.0, "warm": {"p50_ms": 7.0, "p95_ms": 8.0}, "warm_mb": 9.0, "warm_resident_mb": 10.0,
        "index_mb": 11.0, "bytes_a_passage": 12.0,
    }  # fmt: skip
    return {"name": name, "ours": side, "peer": side, "where": where}


def test_each_column_has_its_own_conditions(tmp_path: Path) -> None:
    """A run of one column leaves the others the date and the machine that they were measured on."""
    tools = {
        "a": _measured("A", date="2026-01-01", cpu="x"),
        "b": {"name": "B", "not_run": "no wheel", "where": {"date": "2026-02-02", "cpu": "y"}},
        "c": _measured("C", date="2026-03-03", cpu="x"),
    }
    speed_report.write_report(tmp_path, {"tools": tools})
    lines = (tmp_path / "peers_speed.md").read_text("utf-8").split("\n")
    assert lines[2] == "`python -m benchmarks.peers.speed --envs DIR`, cpu x."
    assert "| date | 2026-01-01 | 2026-03-03 |" in lines
    assert "- B: not run: no wheel" in lines


def test_a_peer_that_cannot_be_built_is_not_run(tmp_path: Path) -> None:
    """A tool without an environment costs its own column, not the run."""
    prepared = speed.Prepared(
        work=tmp_path, passages={"a#0": "text"}, sample={}, sample_docs=tmp_path, sample_tokens=0,
        vectors={"text": np.ones(2, np.float32)}, questions={}, model=tmp_path, index=tmp_path, cache=tmp_path,
    )  # fmt: skip
    outcome = speed.measure(speed.TOOLS["sbert"], tmp_path / "envs", prepared)
    assert outcome["name"] == "sentence-transformers + FAISS"
    assert "its environment is missing" in outcome["not_run"]
