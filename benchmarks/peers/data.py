"""Load documents and questions: the bundled corpus in full, the large sets reduced to minutes of CPU embedding.

A reduced set keeps at most QUERIES questions, every passage of the files that hold a right passage, and random others
up to PASSAGES in all. Nothing that a system retrieved goes into the choice, so none is favoured by it, and the seed is
fixed, so all systems get the same.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rag_search.evaluation.dataset import Dataset, load_dataset, read_corpus

CORPUS = Path(__file__).parents[2] / "corpus"
REDUCED = {"paddle-docs-zh": "faq", "bilingual-zh2en": "faq", "python-docs": "faq", "scifact": "test"}  # set -> qrels
ENGLISH = frozenset({"python-docs", "scifact"})
QUERIES, SEED = 170, 0
PASSAGES = {"paddle-docs-zh": 1000, "bilingual-zh2en": 1000, "python-docs": 1000, "scifact": 500}  # the longest


@dataclass(frozen=True)
class BenchSet:
    """One set.

    Attributes:
        documents: id -> text, in order.
        markdown: documents are whole Markdown files, which every tool cuts in its own way; if False, passages.
        questions: measured.
        tuning: questions on which a peer's settings may be chosen.
    """

    name: str
    split: str | None
    dataset: Dataset
    documents: Mapping[str, str]
    markdown: bool
    tuning: Dataset

    @property
    def description(self) -> str:
        """Return the set in words, for the report."""
        kind = "Markdown files, judged by file" if self.markdown else "passages"
        return f"{self.name}: {len(self.dataset.judged)} questions, {len(self.documents):,} {kind}"


def bundled_corpus() -> BenchSet:
    """Return `corpus/`: measured on the test split, peers tuned on the dev split."""
    docs = CORPUS / "docs"
    files = sorted(docs.rglob("*.md"))
    return BenchSet(
        name="corpus",
        split="test",
        dataset=load_dataset(CORPUS, split="test"),
        documents={file.relative_to(docs).as_posix(): file.read_text("utf-8-sig") for file in files},
        markdown=True,
        tuning=load_dataset(CORPUS, split="dev"),
    )


def reduced_set(data: Path, name: str, work: Path) -> BenchSet:
    """Reduce a large set of `data` to a BEIR folder in `work`.

    Peers are tuned on the measured questions, an upper bound in their favour.
    """
    folder = work / "sets" / name
    if not folder.is_dir():
        _reduce(load_dataset(data / name, qrels=REDUCED[name]), folder, passages=PASSAGES[name])
    dataset = load_dataset(folder)
    documents = {key: f"{title}\n{text}".strip() for key, title, text in read_corpus(folder / "corpus.jsonl")}
    return BenchSet(name, None, dataset, documents, markdown=False, tuning=dataset)


def _reduce(full: Dataset, folder: Path, *, passages: int) -> None:
    rng = np.random.default_rng(SEED)
    judged = full.judged
    queries = [judged[row] for row in sorted(rng.permutation(len(judged))[:QUERIES].tolist())]
    rows = list(read_corpus(full.root / "corpus.jsonl"))
    right = {_file_of(document) for query in queries for document in full.qrels[query.query_id]}
    near = [row for row, (key, _, _) in enumerate(rows) if _file_of(key) in right]
    far = [row for row in rng.permutation(len(rows)).tolist() if _file_of(rows[row][0]) not in right]
    kept = [rows[row] for row in sorted(near + far[: max(0, passages - len(near))])]
    there = {key for key, _, _ in kept}
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "qrels").mkdir(parents=True)
    _write_jsonl(partial / "corpus.jsonl", [{"_id": key, "title": title, "text": text} for key, title, text in kept])
    _write_jsonl(partial / "queries.jsonl", [{"_id": query.query_id, "text": query.text} for query in queries])
    lines = [
        f"{query.query_id}\t{document}\t{grade}\n"
        for query in queries
        for document, grade in full.qrels[query.query_id].items()
        if document in there
    ]
    (partial / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines), "utf-8")
    partial.rename(folder)


def _file_of(passage_id: str) -> str:
    return passage_id.split("#")[0]


def _write_jsonl(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")
