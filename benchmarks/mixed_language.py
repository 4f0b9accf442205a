"""Make a dev set of a folder in two languages, from one that has every paragraph in both.

    python -m benchmarks.mixed_language xquad-mixed xquad-one

Each paragraph stays in English or in Chinese, at random, so a question has its answer in its own language or only in
the other one, among paragraphs on the same subject in both: what a team's folder of Chinese and English documents is
like. `kind` says which: same, en>zh, zh>en. One question in five crosses, as in the bundled corpus. BEIR layout,
judgments `test`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LANGUAGES = ("en", "zh")
CROSSING = 0.2  # of the questions


def main() -> None:
    """Write the reduced set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder of xquad-mixed: ids are LANGUAGE-NUMBER")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    documents = {row["_id"]: row for row in _rows(arguments.source / "corpus.jsonl")}
    chance = random.Random(0)
    numbers = sorted({int(name.partition("-")[2]) for name in documents})
    kept = {number: f"{chance.choice(LANGUAGES)}-{number}" for number in numbers}
    queries = _sampled(list(_queries(arguments.source, kept)), chance)
    (arguments.out / "qrels").mkdir(parents=True, exist_ok=True)
    _write(arguments.out / "corpus.jsonl", (documents[name] for name in kept.values()))
    _write(arguments.out / "queries.jsonl", (query for query, _ in queries))
    lines = ["query-id\tcorpus-id\tscore", *(f"{query['_id']}\t{answer}\t1" for query, answer in queries)]
    (arguments.out / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", "utf-8")


def _queries(source: Path, kept: Mapping[int, str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Return every question and the one document that still answers it."""
    answers = {}
    for line in (source / "qrels" / "same-lang.tsv").read_text("utf-8").splitlines()[1:]:
        query_id, document, _score = line.split("\t")
        answers[query_id] = kept[int(document.partition("-")[2])]
    for row in _rows(source / "queries.jsonl"):
        asked, answered = row["_id"][:2], answers[row["_id"]][:2]
        yield {**row, "kind": "same" if asked == answered else f"{asked}>{answered}"}, answers[row["_id"]]


def _sampled(queries: list[tuple[dict[str, Any], str]], chance: random.Random) -> list[tuple[dict[str, Any], str]]:
    """Return all questions that stay in their language and a share of others, in random order."""
    staying = [query for query in queries if query[0]["kind"] == "same"]
    crossing = [query for query in queries if query[0]["kind"] != "same"]
    chosen = staying + chance.sample(crossing, round(len(staying) * CROSSING / (1 - CROSSING)))
    return chance.sample(chosen, len(chosen))


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


if __name__ == "__main__":
    main()
