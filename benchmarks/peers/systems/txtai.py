"""txtai: an embeddings database, dense alone and with its own BM25 beside it (`hybrid`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from txtai import Embeddings
from txtai.pipeline import Segmentation

from benchmarks.peers.protocol import DEPTH, PASSAGE, QUERY, Job, Variants, read_json, shared_vectors, write_json


class Dense:
    """multilingual-e5-small with its prefixes as txtai's instructions."""

    hybrid = False

    def prepare(self, job: Job) -> None:
        instructions = {"query": QUERY, "data": PASSAGE}
        self._embeddings = Embeddings(
            {**_encoder(job), "instructions": instructions, "gpu": False, "hybrid": self.hybrid}
        )

    def build(self, job: Job) -> None:
        ids, texts = _pieces(job)
        embeddings = self._embeddings
        embeddings.index((row, text, None) for row, text in enumerate(texts))
        if job.model is None:  # a function cannot be saved, and whoever opens the index brings vectors along
            embeddings.config.pop("transform")
        embeddings.save(str(job.folder / "embeddings"))
        write_json(job.folder / "pieces.json", [ids, texts])

    def open(self, job: Job) -> None:
        self._embeddings = Embeddings()
        self._embeddings.load(str(job.folder / "embeddings"), config=_encoder(job))
        self._ids, _texts = read_json(job.folder / "pieces.json")

    def search(self, question: str) -> list[str]:
        return [self._ids[row] for row, _score in self._embeddings.search(question, DEPTH)]


class Hybrid(Dense):
    """Dense and BM25, half and half, as txtai does by default."""

    hybrid = True


def _encoder(job: Job) -> dict[str, Any]:
    if job.model:
        return {"path": job.model, "method": "sentence-transformers"}
    assert job.address is not None
    embed = shared_vectors(job.address)

    def transform(texts: list[str]) -> np.ndarray:
        return embed(texts)

    return {"method": "external", "transform": transform}


def _pieces(job: Job) -> tuple[list[str], list[str]]:
    """Return paragraphs of Markdown, txtai's usual cut for documents."""
    if not job.markdown:
        return list(job.documents), list(job.documents.values())
    cut = Segmentation(paragraphs=True)
    made = [(key, paragraph) for key, text in job.documents.items() for paragraph in cut(text)]
    return [key for key, _ in made], [paragraph for _, paragraph in made]


VARIANTS: Variants = {"txtai": Dense, "txtai hybrid": Hybrid}
