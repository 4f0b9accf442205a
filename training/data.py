"""Read the training pairs, written questions and grades; leave out held-out repositories."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Repositories behind an evaluation set: their pairs would make that set's figures meaningless.
EXCLUDED = frozenset({"tldr-pages/tldr", "python/cpython-docs-3.11", "PaddlePaddle/docs"})


@dataclass(frozen=True)
class Pair:
    """A question and the section that answers it; `heading_path` are the section's ancestors."""

    query: str
    title: str
    heading_path: str
    text: str
    kind: str
    lang: str
    repo: str
    path: str


def read_pairs(path: Path, leave_out: frozenset[str] = EXCLUDED) -> Iterator[Pair]:
    """Yield the usable pairs of `pairs.jsonl.xz`: none of a repository left out, none that opens with its query."""
    for record in _records(path, leave_out):
        if not record["verbatim"]:
            yield Pair(record["query"], record["title"] or "", " > ".join(record["heading_path"]), record["positive"],
                       record["kind"], record["lang"], record["repo"], record["path"])  # fmt: skip


def passage_text(pair: Pair, title: str) -> str:
    """Return the encoder's input for a passage: title, heading path, text, each on its own line when it is there."""
    return "passage: " + "\n".join(part for part in (title, pair.heading_path, pair.text) if part)


@dataclass(frozen=True)
class Passage:
    """A passage of a repository; `heading_path` holds the section's own heading where it is known."""

    repo: str
    title: str
    heading_path: str
    text: str

    def input(self, *, title: bool = True) -> str:
        """Return the encoder's input, with its title or without."""
        parts = (self.title if title else "", self.heading_path, self.text)
        return "passage: " + "\n".join(part for part in parts if part)


@dataclass(frozen=True)
class Written:
    """A question that someone wrote for a passage; `grade` is 2 when the passage answers it, 1 when it does partly."""

    query: str
    style: str
    grade: int
    passage: Passage


@dataclass(frozen=True)
class Judged:
    """A written question with near passages of its repository and their grades, 0 (no help) to 3 (answers fully).

    The first passage is the one that the question was written for.
    """

    query: str
    passages: list[Passage]
    grades: list[int]


def read_leave_out(path: Path) -> frozenset[str]:
    """Return the repositories, one a line, that nothing may be trained on, and those of EXCLUDED."""
    return EXCLUDED | frozenset(path.read_text("utf-8").split())


def read_written(path: Path, leave_out: frozenset[str]) -> Iterator[Written]:
    """Yield the questions of `written.jsonl.xz` whose repository is not left out."""
    for record in _records(path, leave_out):
        yield Written(record["query"], record["style"], record["grade"], _passage(record, record, "positive"))


def read_judged(path: Path, leave_out: frozenset[str]) -> Iterator[Judged]:
    """Yield the questions of `judged.jsonl.xz` whose repository is not left out."""
    for record in _records(path, leave_out):
        candidates = sorted(record["candidates"], key=lambda candidate: not candidate["written_for"])
        yield Judged(
            record["query"],
            [_passage(record, candidate, "text") for candidate in candidates],
            [candidate["grade"] for candidate in candidates],
        )


def _records(path: Path, leave_out: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of an .xz file, one a line, whose repository is not left out."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            record = json.loads(line)
            if record["repo"] not in leave_out:
                yield record


def _passage(record: dict[str, Any], part: dict[str, Any], text: str) -> Passage:
    """Return the passage that `part` of a record describes; its text stands under the key `text`."""
    return Passage(record["repo"], part["title"] or "", " > ".join(part["heading_path"]), part[text])
