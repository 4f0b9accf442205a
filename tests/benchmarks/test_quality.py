"""The table of quality over the dev sets, against a set whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import quality
from tests.support.onnx_models import make_reader

PASSAGES = {
    "redis": "Redis closes a connection that was idle for longer than `timeout` seconds.",
    "oven": "Bake the bread in a hot oven until the crust is brown.",
    "bike": "Pump the tyre of the bicycle to four bar.",
}
QUESTIONS = {
    "q1": ("why does redis drop idle connections", "redis", "symptom"),
    "q2": ("baking bread until the crust is brown", "oven", "howto"),
    "q3": ("四巴的自行车轮胎", "oven", "howto"),  # judged wrongly on purpose: nothing ranks the oven first
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, object]]:
    return quality.measure(f"{small_set(tmp_path_factory.mktemp('sets'))}:test", limit=None)


def small_set(folder: Path) -> Path:
    root = folder / "small"
    (root / "qrels").mkdir(parents=True)
    corpus = [json.dumps({"_id": name, "title": name, "text": text}) for name, text in PASSAGES.items()]
    (root / "corpus.jsonl").write_text("\n".join(corpus), "utf-8")
    asked = [json.dumps({"_id": name, "text": text, "kind": kind}) for name, (text, _, kind) in QUESTIONS.items()]
    (root / "queries.jsonl").write_text("\n".join(asked), "utf-8")
    judged = [f"{name}\t{document}\t1" for name, (_, document, _) in QUESTIONS.items()]
    (root / "qrels" / "test.tsv").write_text("\n".join(judged), "utf-8")
    return root


def test_figures_are_those_of_the_known_answers(measured: tuple[str, dict[str, object]]) -> None:
    name, row = measured
    assert (name, row["queries"]) == ("small", 3)
    assert row["right"]["kind"] == {"symptom": "1111", "howto": "1111 0000"}  # type: ignore[index]
    assert row["right"]["language"] == {"en": "1111 1111", "zh": "0000"}  # type: ignore[index]
    assert set(row["cpu_ms"]) == set(quality.SYSTEMS)  # type: ignore[call-overload]
    assert all(ms > 0 for ms in row["cpu_ms"].values())  # type: ignore[attr-defined]


def test_table_has_the_mean_of_the_sets(
    measured: tuple[str, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quality, "FEW", 2)
    facts = {"command": "python -m benchmarks.quality small", "cpu": "a processor"}
    name, row = measured
    table = list(quality.lines({"sets": {name: row | {"facts": facts}}}))
    top1 = "0.667 | 0.667 | 0.667 | 0.667"
    assert any(line.startswith(f"| small | 3 | {top1} | ") for line in table)
    assert any(line.startswith(f"| mean of the sets | 3 | {top1} | | +0.000 | ") for line in table)
    assert "| howto | 2 | 0.500 | 0.500 | 0.500 | 0.500 |" in table
    assert not any(line.startswith("| symptom |") for line in table)


def test_reader_is_compared_with_rerank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that counts shared words keeps the two right answers, and cannot read the Chinese question."""
    monkeypatch.setenv("RAGSEARCH_RERANKER__CHECK", "false")  # it knows a dozen words
    reader = make_reader(tmp_path / "word-counter")
    name, row = quality.measure(f"{small_set(tmp_path)}:test", limit=None, reader=str(reader))
    found = row["reader"]
    assert (found["model"], found["wins"], found["losses"]) == ("word-counter", 0, 0)
    assert found["top1"] == pytest.approx(2 / 3)
    assert found["cpu_ms"] > 0
    table = list(quality.lines({"sets": {name: row | {"facts": {"command": "c", "cpu": "a processor"}}}}))
    assert any(line.startswith("| small | word-counter | 0.667 | 0.667 | +0.000 ") for line in table)
