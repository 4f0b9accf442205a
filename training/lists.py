"""Mine the reader's lists: each question with the passages that the product's own blend puts first.

    PYTHONPATH=.. python lists.py --data TRAIN --work FOLDER --out lists.npz

Needs the product (`pip install -e '..[cpu]'`). The passages of written and graded questions become indexes of some
1,000 passages, each of whole repositories, in FOLDER; every question is asked as a user asks it. A list keeps what the
reader will see: the best passages of the blend, and their blend. The file renumbers the vocabulary and carries the word
embeddings that occur, so that `reader.py` needs nothing but it and the start weights.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from base import BaseTokenizer, read_base, word_blocks
from data import Passage, read_judged, read_leave_out, read_written
from finetune import ABOVE, ANSWERS, SAME

from benchmarks.calibrate import Recorder
from rag_search.config import load_config
from rag_search.engines import factory
from rag_search.engines.table import DEFAULT_MODEL
from rag_search.evaluation.cached_index import fill_index
from rag_search.evaluation.dataset import Dataset, EvalQuery, load_dataset
from rag_search.index import open_reader
from rag_search.records import SearchOptions
from rag_search.rerank.calibration import Calibration, load_calibration
from rag_search.search.searcher import Searcher

WORLD = 1000  # passages
KEPT = 12  # passages of a list
CANDIDATES = 50
MAX_QUERY, MAX_PASSAGE = 48, 160  # tokens
UNGRADED = -1


@dataclass(frozen=True)
class Asked:
    """A written question, the passage it was written for, and the grades of passages by their text."""

    text: str
    style: str
    answered: int
    own: Passage
    grades: dict[str, int] = field(default_factory=dict)


@dataclass
class Lists:
    """Lists as they are found; a row is a question, a column a passage, best blend first, -1 where there are fewer.

    grades: UNGRADED for a passage that nobody judged.
    """

    questions: list[str] = field(default_factory=list)
    repositories: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)
    judged: list[bool] = field(default_factory=list)
    passages: list[list[int]] = field(default_factory=list)
    grades: list[list[int]] = field(default_factory=list)
    blends: list[list[float]] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)  # passage -> number


def main() -> None:
    """Make or reuse the indexes, ask all questions, and write the lists."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--worlds", type=int, help="only so many of the indexes, for a start")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    repositories = read_questions(arguments.data)
    lists = Lists()
    for number, names in enumerate(list(worlds(repositories))[: arguments.worlds]):
        folder = arguments.work / f"world-{number:02}"
        asked = write_world(folder, {name: repositories[name] for name in names})
        mine(folder, asked, lists)
        with arguments.out.with_suffix(".tmp").open("wb") as file:  # so that training may start on what is there
            np.savez_compressed(file, **arrays(lists))
        arguments.out.with_suffix(".tmp").replace(arguments.out)
        print(f"{folder.name}: {len(asked)} questions, {len(lists.questions)} lists", flush=True)
    print(arguments.out, f"{arguments.out.stat().st_size / 1e6:.1f} MB")


def read_questions(data: Path) -> dict[str, list[Asked]]:
    """Return the written questions of each repository that may be trained on, with the grades they have."""
    leave_out = read_leave_out(data / "LEAVE-OUT.txt")
    grades = {
        judged.query: {passage.text: grade for passage, grade in zip(judged.passages, judged.grades, strict=True)}
        for judged in read_judged(data / "judged.jsonl.xz", leave_out)
    }
    found: dict[str, list[Asked]] = defaultdict(list)
    for each in read_written(data / "written.jsonl.xz", leave_out):
        asked = Asked(each.query, each.style, each.grade, each.passage, grades.get(each.query, {}))
        found[each.passage.repo].append(asked)
    for judged in read_judged(data / "judged.jsonl.xz", leave_out):
        repository = judged.passages[0].repo
        known = {id_of(each.own) for each in found[repository]}
        extra = [passage for passage in judged.passages if id_of(passage) not in known]
        found[repository] += [Asked("", "", 0, passage) for passage in extra]  # a passage that nobody asks for
    return found


def id_of(passage: Passage) -> str:
    """Return what tells a passage from the others of its repository."""
    return "".join(passage.text.split())[:300]


def worlds(repositories: dict[str, list[Asked]]) -> Iterator[list[str]]:
    """Yield names of repositories that have WORLD passages or more together."""
    names: list[str] = []
    size = 0
    for name in sorted(repositories):
        names.append(name)
        size += len({id_of(asked.own) for asked in repositories[name]})
        if size >= WORLD:
            yield names
            names, size = [], 0
    if names:
        yield names


def write_world(folder: Path, repositories: dict[str, list[Asked]]) -> dict[str, Asked]:
    """Write a set in BEIR layout; return its questions by id, which begins with the repository."""
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    corpus: list[dict[str, str]] = []
    queries: list[dict[str, str]] = []
    judgments = ["query-id\tcorpus-id\tscore"]
    asked: dict[str, Asked] = {}
    for repository, rows in repositories.items():
        numbers: dict[str, str] = {}
        for row in rows:
            key = id_of(row.own)
            if key not in numbers:
                numbers[key] = f"{repository}/{len(numbers)}"
                head = dict.fromkeys(part for part in (row.own.title, *row.own.heading_path.split(" > ")) if part)
                corpus.append({"_id": numbers[key], "title": " > ".join(head), "text": row.own.text})
            if row.text.strip():
                name = f"{repository}?{len(asked)}"
                asked[name] = row
                queries.append({"_id": name, "text": row.text})
                judgments.append(f"{name}\t{numbers[key]}\t1")
    for name, lines in (("corpus", corpus), ("queries", queries)):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, "utf-8")
    (folder / "qrels" / "test.tsv").write_text("\n".join(judgments) + "\n", "utf-8")
    return asked


def mine(folder: Path, asked: dict[str, Asked], lists: Lists) -> None:
    """Ask the questions of a world; add a list for each whose passage is among the candidates."""
    config = load_config({"profile": "builtin"})
    embedder = factory.make_embedder(config.settings)
    calibration = load_calibration(DEFAULT_MODEL)
    dataset = load_dataset(folder)
    place = folder / "index"
    fill_index(place, dataset, embedder, max_tokens=config.settings.ingest.max_tokens)
    with open_reader(place) as index:
        recorder = Recorder()
        searcher = Searcher(index, embedder, recorder)
        for query in dataset.queries:
            add(lists, asked[query.query_id], query, dataset, Asker(searcher, recorder, calibration))


@dataclass(frozen=True)
class Asker:
    """What asks a question and what weighs the candidates."""

    searcher: Searcher
    recorder: Recorder
    calibration: Calibration


def add(lists: Lists, asked: Asked, query: EvalQuery, dataset: Dataset, asker: Asker) -> None:
    """Add the list of one question, unless its passage is not among the candidates."""
    repository = query.query_id.partition("?")[0]
    asker.searcher.search(query.literal, SearchOptions(candidates=CANDIDATES, group=False))
    hits, features = asker.recorder.hits, asker.recorder.features
    blend = asker.calibration.blend(features.astype(np.float32))
    (own_path,) = dataset.qrels[query.query_id]
    order = [row for row in np.argsort(-blend).tolist() if hits[row].chunk.path.startswith(f"{repository}/")]
    best: dict[str, int] = {}
    for row in order:  # a passage that was cut counts by its best piece
        best.setdefault(hits[row].chunk.path, row)
    if own_path not in best:
        return
    own = best[own_path]
    vectors = asker.searcher.index.vectors([hits[row].chunk.chunk_id for row in best.values()])
    alike = vectors @ vectors[list(best).index(own_path)]
    kept: list[int] = []
    grades: list[int] = []
    known = {"".join(text.split())[:300]: grade for text, grade in asked.grades.items()}
    for row, likeness in zip(best.values(), alike.tolist(), strict=True):
        chunk = hits[row].chunk
        graded = known.get("".join(chunk.text.split())[:300], UNGRADED)
        grade = ANSWERS if row == own and graded == UNGRADED else graded
        doubtful = likeness > SAME or features[row, 1] > features[own, 1] + ABOVE
        if grade != UNGRADED or not doubtful:
            kept.append(row)
            grades.append(grade)
    keep = sorted(range(len(kept)), key=lambda i: (kept[i] != own, grades[i] == UNGRADED, i))[:KEPT]
    keep.sort()
    lists.questions.append(asked.text)
    lists.repositories.append(repository)
    lists.styles.append(asked.style)
    lists.answered.append(asked.answered)
    lists.judged.append(bool(asked.grades))
    lists.passages.append([lists.texts.setdefault(hits[kept[i]].chunk.passage, len(lists.texts)) for i in keep])
    lists.grades.append([grades[i] for i in keep])
    lists.blends.append([float(blend[kept[i]]) for i in keep])


def arrays(lists: Lists) -> dict[str, Any]:
    """Return the lists as arrays; texts as token ids one after the other with their lengths, and the words they use."""
    tokenizer, base = BaseTokenizer(read_base()), read_base()
    ids = {
        "passages": tokenizer.encode([f"passage: {text}" for text in lists.texts], MAX_PASSAGE),
        "queries": tokenizer.encode([f"query: {text}" for text in lists.questions], MAX_QUERY),
    }
    used = np.unique(np.concatenate([[base.pad], *(row for rows in ids.values() for row in rows)]))
    out: dict[str, Any] = {
        "pieces": used.astype(np.int32),
        "words": word_blocks()[used],
        "repositories": np.array(lists.repositories),
        "styles": np.array(lists.styles),
        "answered": np.array(lists.answered, np.int8),
        "judged": np.array(lists.judged),
        "listed": _table(lists.passages, -1, np.int32),
        "grades": _table(lists.grades, UNGRADED, np.int8),
        "blends": _table(lists.blends, 0.0, np.float32),
    }
    for name, rows in ids.items():
        out[name] = np.searchsorted(used, np.concatenate(rows)).astype(np.int32)
        out[f"{name}_lengths"] = np.array([len(row) for row in rows], np.int32)
    return out


def _table(rows: list[Any], missing: float, kind: type) -> np.ndarray:
    table = np.full((len(rows), KEPT), missing, kind)
    for number, row in enumerate(rows):
        table[number, : len(row)] = row
    return table


if __name__ == "__main__":
    main()
