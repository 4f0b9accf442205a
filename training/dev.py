"""Read the evaluation sets (BEIR layout) and the late-interaction arithmetic they are scored with."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class DevSet:
    """One evaluation set: ids and texts of passages and queries, relevant passage ids per query id."""

    name: str
    passage_ids: list[str]
    passages: list[str]
    query_ids: list[str]
    queries: list[str]
    qrels: dict[str, set[str]]


def read_set(folder: Path, qrels_name: str, name: str) -> DevSet:
    """Read `corpus.jsonl`, `queries.jsonl` and `qrels/<qrels_name>.tsv`; only judged queries are kept."""
    corpus = read_jsonl(folder / "corpus.jsonl")
    qrels: dict[str, set[str]] = {}
    for line in (folder / "qrels" / f"{qrels_name}.tsv").read_text("utf-8").split("\n")[1:]:
        if line:
            query_id, passage_id, score = line.split("\t")
            if int(score) > 0:
                qrels.setdefault(query_id, set()).add(passage_id)
    queries = [q for q in read_jsonl(folder / "queries.jsonl") if q["_id"] in qrels]
    return DevSet(
        name,
        [p["_id"] for p in corpus],
        [f"{p['title']}\n{p['text']}".strip() for p in corpus],
        [q["_id"] for q in queries],
        [q["text"] for q in queries],
        qrels,
    )


def read_jsonl(path: Path) -> list[dict[str, str]]:
    """Return the JSON objects of a file, one a line; texts may hold other line separators than a newline."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def standard_sets(root: Path) -> list[DevSet]:
    """Return the sets that every table reports; XQuAD also as one English-question set per document language."""
    return [
        read_set(root / "paddle-docs-zh", "faq", "paddle-docs-zh faq (zh)"),
        read_set(root / "bilingual-zh2en", "faq", "bilingual faq (zh>en)"),
        read_set(root / "python-docs", "faq", "python-docs faq (en)"),
        read_set(root / "scifact", "test", "scifact (en)"),
        read_set(root / "xquad-mixed", "same-lang", "xquad same language"),
        read_set(root / "written-dev", "test", "written-dev"),
    ]


def language_sets(root: Path) -> list[DevSet]:
    """Return English XQuAD questions against the 240 paragraphs of each language but en and zh."""
    every = read_set(root / "xquad-mixed", "test", "xquad")
    languages = sorted({pid.split("-")[0] for pid in every.passage_ids} - {"en", "zh"})
    return [english_to(every, language) for language in languages]


def english_to(every: DevSet, language: str) -> DevSet:
    """Return the part of XQuAD with English questions and paragraphs in one language."""
    english = replace(every, name=f"xquad en>{language}")
    english = keep_queries(english, [i for i, q in enumerate(every.query_ids) if q.startswith("en-")])
    return keep_passages(english, [i for i, p in enumerate(every.passage_ids) if p.startswith(f"{language}-")])


def keep_queries(dev: DevSet, rows: list[int]) -> DevSet:
    """Return the same set with only these queries."""
    return replace(dev, query_ids=[dev.query_ids[i] for i in rows], queries=[dev.queries[i] for i in rows])


def keep_passages(dev: DevSet, rows: list[int]) -> DevSet:
    """Return the same set with only these passages."""
    return replace(dev, passage_ids=[dev.passage_ids[i] for i in rows], passages=[dev.passages[i] for i in rows])


def late_scores(query_tokens: np.ndarray, passage_tokens: list[np.ndarray]) -> np.ndarray:
    """Return the mean over query tokens of the largest dot product with a passage's tokens, one score per passage."""
    lengths = [len(tokens) for tokens in passage_tokens]
    dots = query_tokens @ np.concatenate(passage_tokens).T  # (query tokens, all passage tokens)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return np.maximum.reduceat(dots, starts, axis=1).mean(0)


def quick_sets(root: Path) -> list[DevSet]:
    """Return smaller sets, to choose a checkpoint: the right passages, all of their files, and random others.

    Nothing a model retrieved goes into the choice, so no model is favoured by it.
    """
    *documents, _xquad, written = standard_sets(root)
    documents = [quick(dev, queries=170, passages=1500) for dev in documents]
    documents.append(quick(written, queries=len(written.queries), passages=0))
    languages = [dev for dev in language_sets(root) if dev.name[-2:] in {"ar", "de", "ru", "vi"}]
    return documents + [quick(dev, queries=150, passages=240) for dev in languages]


def quick(dev: DevSet, *, queries: int, passages: int) -> DevSet:
    """Return at most so many queries, and at least their files' passages."""
    rng = np.random.default_rng(0)
    dev = keep_queries(dev, sorted(rng.permutation(len(dev.queries))[:queries].tolist()))
    relevant = set().union(*(dev.qrels[query_id] for query_id in dev.query_ids))
    files = {passage_id.split("#")[0] for passage_id in relevant}
    near = [i for i, passage_id in enumerate(dev.passage_ids) if passage_id.split("#")[0] in files]
    far = [i for i in rng.permutation(len(dev.passages)).tolist() if dev.passage_ids[i].split("#")[0] not in files]
    return keep_passages(dev, sorted(near + far[: max(0, passages - len(near))]))
