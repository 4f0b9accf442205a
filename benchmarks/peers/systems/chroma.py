"""Chroma: a persistent collection (its own HNSW index) with an embedding function."""

from __future__ import annotations

from typing import Any

import chromadb
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings
from chromadb.config import Settings

from benchmarks.peers.protocol import DEPTH, Job, Variants
from benchmarks.peers.systems.pieces import pieces_of
from benchmarks.peers.systems.sentence_model import SentenceModel

ADDED_AT_ONCE = 1000  # below the limit of the client


class E5(EmbeddingFunction[Documents]):
    """The embedding function: `__call__` embeds passages, `embed_query` queries."""

    def __init__(self, job: Job) -> None:
        self._model = SentenceModel(job)

    def __call__(self, input: Documents) -> Embeddings:
        return list(self._model.passages(input))

    def embed_query(self, input: Documents) -> Embeddings:
        return list(self._model.queries(input))

    @staticmethod
    def name() -> str:
        return "e5"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> EmbeddingFunction[Documents]:
        raise NotImplementedError(config)


class Chroma:
    """multilingual-e5-small, cosine."""

    def prepare(self, job: Job) -> None:
        self._function = E5(job)

    def build(self, job: Job) -> None:
        ids, texts = pieces_of(job)
        collection = _client(job).create_collection(
            "peers", embedding_function=self._function, configuration={"hnsw": {"space": "cosine"}}
        )
        for start in range(0, len(ids), ADDED_AT_ONCE):
            rows = range(start, min(start + ADDED_AT_ONCE, len(ids)))
            collection.add(
                ids=[str(row) for row in rows],
                documents=[texts[row] for row in rows],
                metadatas=[{"document": ids[row]} for row in rows],
            )

    def open(self, job: Job) -> None:
        self.prepare(job)
        self._collection = _client(job).get_collection("peers", embedding_function=self._function)

    def search(self, question: str) -> list[str]:
        found = self._collection.query(query_texts=[question], n_results=DEPTH, include=["metadatas"])
        return [str(metadata["document"]) for metadata in found["metadatas"][0]]


def _client(job: Job) -> Any:
    return chromadb.PersistentClient(str(job.folder), settings=Settings(anonymized_telemetry=False))


VARIANTS: Variants = {"Chroma": Chroma}
