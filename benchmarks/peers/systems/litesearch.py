"""litesearch: `Index`, its cut, document tree, FTS5 and vectors joined by reciprocal ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from litesearch import Index
from litesearch.utils import FastEncode

from benchmarks.peers.protocol import PASSAGE, QUERY, Job, Variants, shared_vectors
from benchmarks.peers.systems.tree import written


class SharedEncoder(FastEncode):
    """litesearch's encoder of documents and queries over the shared vectors."""

    def __init__(self, address: str) -> None:
        self.prompt = {"document": f"{PASSAGE}{{text}}", "query": f"{QUERY}{{text}}"}
        self._embed = shared_vectors(address)

    def encode(self, lns: Sequence[str]) -> np.ndarray:
        return self._embed(list(lns))


class LiteSearch:
    """multilingual-e5-small in place of a model that only a hub has."""

    def prepare(self, job: Job) -> None:
        assert job.address is not None
        self._index = Index(job.folder / "index.db", encoder=SharedEncoder(job.address))

    def build(self, job: Job) -> None:
        tree, names = written(job)
        self._index.add(tree)
        keys = {str((tree / name).resolve()): key for name, key in names.items()}
        self._ids = {each["id"]: [keys[path] for path in each["sources"]] for each in self._index.docs}

    def open(self, job: Job) -> None:
        pass

    def search(self, question: str) -> list[str]:
        return [key for hit in self._index.search(question) for key in self._ids[hit["doc_id"]]]


VARIANTS: Variants = {"litesearch": LiteSearch}
