"""The dev set of a folder in two languages: each paragraph in one of them, one question in five across."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARAGRAPHS = 60


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_one_language_of_each_paragraph(tmp_path: Path) -> None:
    source, out = tmp_path / "both", tmp_path / "one"
    (source / "qrels").mkdir(parents=True)
    names = [f"{language}-{number}" for number in range(PARAGRAPHS) for language in ("en", "zh", "ar")]
    (source / "corpus.jsonl").write_text("\n".join(json.dumps({"_id": name, "text": name}) for name in names))
    asked = [f"{language}-q{number}" for number in range(PARAGRAPHS) for language in ("en", "zh")]
    (source / "queries.jsonl").write_text("\n".join(json.dumps({"_id": name, "text": name}) for name in asked))
    judged = [f"{name}\t{name.replace('q', '')}\t1" for name in asked]
    (source / "qrels" / "same-lang.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]))
    subprocess.run([sys.executable, "-m", "benchmarks.mixed_language", source, out], check=True, cwd=ROOT)
    documents = [json.loads(line)["_id"] for line in lines(out / "corpus.jsonl")]
    assert sorted(int(name.partition("-")[2]) for name in documents) == list(range(PARAGRAPHS))
    assert {name[:2] for name in documents} == {"en", "zh"}
    kinds = {row["_id"]: row["kind"] for row in map(json.loads, lines(out / "queries.jsonl"))}
    answers = dict(line.split("\t")[:2] for line in lines(out / "qrels" / "test.tsv")[1:])
    assert set(answers.values()) <= set(documents)
    for query, answer in answers.items():
        assert query.partition("q")[2] == answer.partition("-")[2]
        assert kinds[query] == ("same" if query[:2] == answer[:2] else f"{query[:2]}>{answer[:2]}")
    assert sum(kind != "same" for kind in kinds.values()) == round(0.2 * len(kinds))
