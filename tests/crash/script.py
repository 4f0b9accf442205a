"""What the writer does: an endless list of operations that follows from a seed, and what each does to a dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rag_search.index import IndexWriter
from tests.index.world import Item, item, put

_PATHS = [f"docs/{number}.md" for number in range(24)]
_WORDS = ["redis", "timeout", "pool", "连接", "超时", "配置", "cache", "error_code", "max-idle", "retry"]
_ANN_ROWS = 64  # a codebook needs some rows to learn from


@dataclass(frozen=True)
class Operation:
    """One commit: documents to put and to remove, or one of the three rewrites."""

    kind: str
    items: tuple[Item, ...] = ()
    removed: tuple[str, ...] = ()

    def run(self, writer: IndexWriter) -> None:
        if self.kind == "compact":
            writer.compact()
        elif self.kind == "maintain":
            writer.maintain()
        elif self.kind == "ann":
            if len(list(writer.files())) > _ANN_ROWS // 4:
                writer.build_derived()
                writer.build_postings()
        else:
            writer.remove(self.removed)
            put(writer, self.items)
            writer.commit()

    def applied(self, before: Mapping[str, Item]) -> dict[str, Item]:
        """What a dict holds afterwards."""
        kept = {path: each for path, each in before.items() if path not in self.removed}
        return {**kept, **{each.path: each for each in self.items}}


def operation(seed: int, number: int) -> Operation:
    """The operation of this number; the same in every process."""
    random = np.random.default_rng([seed, number])
    kind = str(random.choice(["put", "compact", "maintain", "ann"], p=[0.7, 0.1, 0.1, 0.1]))
    if kind != "put":
        return Operation(kind)
    chosen = random.choice(_PATHS, size=int(random.integers(1, 9)), replace=False).tolist()
    texts = [
        [" ".join(random.choice(_WORDS, 6)) + f" n{number}\n" for _ in range(int(random.integers(1, 9)))]
        for _ in chosen
    ]
    gone = int(random.integers(0, 2))
    return Operation(kind, tuple(map(item, chosen[gone:], texts[gone:])), tuple(chosen[:gone]))
