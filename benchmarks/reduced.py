"""Reduce the large dev sets to minutes of embedding, for runs that compare settings.

    python -m benchmarks.reduced DATA OUT

A reduced set keeps the questions below, their judged passages, other passages of the same files for half of the room
that is left, and random others. A tree of Markdown (in OUT/trees) keeps the pages that answer and random others, so
that files have their names. Figures are higher than those over all passages; differences between settings remain.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

SEED = 7


@dataclass(frozen=True)
class Reduction:
    """What is kept of a set. questions: None keeps all that are judged."""

    qrels: str
    passages: int
    questions: int | None = None


SETS = {
    "written-dev": Reduction("test", 1700),
    "python-docs": Reduction("faq", 900),
    "bilingual-zh2en": Reduction("faq", 900),
    "paddle-docs-zh": Reduction("faq", 700),
    "scifact": Reduction("test", 800, 120),
}
TREES = ("paddle-docs-zh", "python-docs", "bilingual-zh2en")
TREE_BYTES, PAGE_BYTES, OTHER_PAGES = 1_200_000, 60_000, 60  # a longer page is left out unless it answers


def main() -> None:
    """Write each set as a BEIR folder, and each tree with its documents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    for name, reduction in SETS.items():
        reduce_set(arguments.data / name, arguments.out / name, reduction)
    for name in TREES:
        reduce_tree(arguments.data / name, arguments.out / "trees" / name)


def reduce_set(source: Path, out: Path, reduction: Reduction) -> None:
    """Write the reduced copy of one set; the same passages and questions every time."""
    rng = random.Random(SEED)
    rows = (source / "corpus.jsonl").read_text("utf-8").splitlines()
    passages = [json.loads(row)["_id"] for row in rows]
    judgments = _judgments(source / "qrels" / f"{reduction.qrels}.tsv")
    questions = sorted({question for question, _, _ in judgments})
    rng.shuffle(questions)
    asked = set(questions[: reduction.questions])
    judgments = [judgment for judgment in judgments if judgment[0] in asked]
    chosen = _chosen(passages, {passage for _, passage, _ in judgments}, reduction.passages, rng)
    (out / "qrels").mkdir(parents=True, exist_ok=True)
    _write(out / "corpus.jsonl", [row for row, passage in zip(rows, passages, strict=True) if passage in chosen])
    queries = (source / "queries.jsonl").read_text("utf-8").splitlines()
    _write(out / "queries.jsonl", [query for query in queries if json.loads(query)["_id"] in asked])
    _write(out / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *map("\t".join, judgments)])


def reduce_tree(source: Path, out: Path) -> None:
    """Write the pages that answer the FAQ questions of a set, others up to TREE_BYTES, and judgments by page."""
    judgments = [(question, _file(page), grade) for question, page, grade in _judgments(_by_page(source / "qrels"))]
    files = (path for path in sorted((source / "docs").rglob("*")) if path.is_file())
    pages = {str(path.relative_to(source / "docs")): path for path in files}
    kept = {page for _, page, _ in judgments}
    others = [page for page in pages if page not in kept]
    random.Random(SEED).shuffle(others)
    size, least = sum(pages[page].stat().st_size for page in kept), len(kept) + OTHER_PAGES
    for page in others:
        if size > TREE_BYTES and len(kept) > least:
            break
        if pages[page].stat().st_size <= PAGE_BYTES:
            kept.add(page)
            size += pages[page].stat().st_size
    for page in sorted(kept):
        (out / "docs" / page).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pages[page], out / "docs" / page)
    (out / "qrels").mkdir(exist_ok=True)
    _write(out / "qrels" / "pages-faq.tsv", ["query-id\tcorpus-id\tscore", *map("\t".join, judgments)])
    shutil.copy(source / "queries.jsonl", out / "queries.jsonl")


def _by_page(qrels: Path) -> Path:
    """Return the FAQ judgments of pages, or of their sections where there are no others."""
    return path if (path := qrels / "pages-faq.tsv").exists() else qrels / "faq.tsv"


def _judgments(path: Path) -> list[tuple[str, str, str]]:
    """Return question, passage and grade of each line whose grade is above 0."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        question, passage, grade = line.split("\t")
        if grade.replace(".", "", 1).isdigit() and float(grade) > 0:
            found.append((question, passage, grade))
    return found


def _chosen(passages: list[str], judged: set[str], size: int, rng: random.Random) -> set[str]:
    """Return the passages to keep: judged ones, others of their files, random ones."""
    files = {_file(passage) for passage in judged}
    near = [passage for passage in passages if _file(passage) in files and passage not in judged]
    far = [passage for passage in passages if _file(passage) not in files]
    rng.shuffle(near)
    rng.shuffle(far)
    kept = judged | set(near[: max(0, size - len(judged)) // 2])
    return kept | set(far[: max(0, size - len(kept))])


def _file(passage: str) -> str:
    return passage.split("#", 1)[0]


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
