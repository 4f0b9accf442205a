"""The training pairs: reading, what is left out, and the passage text the product will see."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def read_pairs(path: Path) -> Iterator[Pair]:
    """Usable pairs of `pairs.jsonl.xz`: held-out repositories and passages that open with their query left out."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            record = json.loads(line)
            if record["repo"] in EXCLUDED or record["verbatim"]:
                continue
            yield Pair(record["query"], record["title"] or "", " > ".join(record["heading_path"]), record["positive"],
                       record["kind"], record["lang"], record["repo"], record["path"])  # fmt: skip


def passage_text(pair: Pair, title: str) -> str:
    """The encoder's passage input: title, heading path, text, each on its own line when it is there."""
    return "passage: " + "\n".join(part for part in (title, pair.heading_path, pair.text) if part)
