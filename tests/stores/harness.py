"""The stores that the conformance suite runs over, and documents whose vectors every store holds without rounding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rag_search.index import IndexManifest, open_reader, open_writer
from rag_search.records import Encoded
from tests.index import world
from tests.index.world import MANIFEST, Item

PATHS = [f"docs/{number}.md" for number in range(24)]
WORDS = ["redis", "timeout", "pool", "连接", "超时", "配置", "cache", "error_code", "max-idle", "retry"]


@dataclass(frozen=True)
class StoreUnderTest:
    """One kind of store at one place. url: None is a folder on this machine."""

    folder: Path
    url: str | None = None
    index: str = "default"
    answer_s: float = 10.0
    vectors: str | None = None
    has_terms: bool = False

    @property
    def place(self) -> Any:
        """What `open_reader` and `open_writer` take."""
        if self.url is None:
            return self.folder
        from rag_search.index.postgres.connection import Place

        return Place(self.url, self.index, self.vectors, answer_s=self.answer_s, has_terms=self.has_terms)

    def writer(self, manifest: IndexManifest = MANIFEST, *, rebuild: bool = False, lease_s: float = 600.0) -> Any:
        """Open the store for writing. lease_s: for stores on a server."""
        if self.url is None:
            return open_writer(self.folder, manifest, rebuild=rebuild)
        from rag_search.index.postgres.opening import open_writer as open_remote

        return open_remote(self.place, manifest, rebuild=rebuild, lease_s=lease_s)

    def reader(self) -> Any:
        """Open the newest generation."""
        if self.url is None:
            return open_reader(self.folder)
        from rag_search.index.postgres.opening import open_reader as open_remote

        return open_remote(self.place)

    def verify(self) -> list[Any]:
        """Return what is wrong with the store."""
        if self.url is None:
            from rag_search.index import verify

            return verify(self.folder)
        from rag_search.index.postgres.verify import verify as verify_remote

        return verify_remote(self.place)


def half(item: Item) -> Item:
    """Return `item` with vectors that 16 bits hold exactly."""
    vectors = item.encoded.vectors.astype(np.float16).astype(np.float32)
    terms = tuple(line.replace("\0", " ") for line in item.terms)  # as `text.terms` makes them
    return replace(item, encoded=Encoded(vectors, item.encoded.tokens), terms=terms)


def item(
    path: str, texts: Sequence[str], *, metadata: Mapping[str, Any] | None = None, updated: str = "", rest: str = ""
) -> Item:
    """Return a document as `tests.index.world.item` makes it, with vectors that 16 bits hold exactly."""
    return half(world.item(path, texts, metadata=metadata, updated=updated, rest=rest))


@dataclass(frozen=True)
class Operation:
    """One commit: documents to put and to remove, maintenance, or a rebuild, which its caller begins."""

    kind: str
    items: tuple[Item, ...] = ()
    removed: tuple[str, ...] = ()

    def run(self, writer: Any) -> None:
        """Do it."""
        if self.kind == "compact":
            writer.compact()
        elif self.kind == "maintain":
            writer.maintain()
        else:
            writer.remove(self.removed)
            world.put(writer, self.items)
            writer.commit()

    def applied(self, before: Mapping[str, Item]) -> dict[str, Item]:
        """Return what a dict holds afterwards."""
        if self.kind == "rebuild":
            return {}
        kept = {path: each for path, each in before.items() if path not in self.removed}
        return {**kept, **{each.path: each for each in self.items}}


def operation(seed: int, number: int) -> Operation:
    """Return the operation of this number; the same in every process."""
    random = np.random.default_rng([seed, number])
    kind = str(random.choice(["put", "compact", "maintain", "rebuild"], p=[0.8, 0.09, 0.09, 0.02]))
    if kind != "put":
        return Operation(kind)
    chosen = random.choice(PATHS, size=int(random.integers(1, 9)), replace=False).tolist()
    texts = [
        [" ".join(random.choice(WORDS, 6)) + f" n{number}\n" for _ in range(int(random.integers(1, 9)))] for _ in chosen
    ]
    gone = int(random.integers(0, 2))
    return Operation(kind, tuple(map(item, chosen[gone:], texts[gone:])), tuple(chosen[:gone]))
