"""Qdrant's local mode with fastembed: the client embeds each `Document` with ONNX Runtime and searches exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType
from qdrant_client import QdrantClient
from qdrant_client.models import Distance, Document, VectorParams

from benchmarks.peers.protocol import DEPTH, PASSAGE, QUERY, Job, Variants, shared_vectors
from benchmarks.peers.systems.pieces import pieces_of

MODEL, DIM = "intfloat/multilingual-e5-small", 384
COLLECTION = "peers"
Vector = Document | list[float]


class Qdrant:
    """multilingual-e5-small, cosine."""

    def prepare(self, job: Job) -> None:
        self._vectors = _vectors(job)
        self._client = QdrantClient(path=str(job.folder))
        if not self._client.collection_exists(COLLECTION):
            self._client.create_collection(COLLECTION, VectorParams(size=DIM, distance=Distance.COSINE))
            if job.model:
                self.search("")  # the client loads the model when it first embeds

    def build(self, job: Job) -> None:
        ids, texts = pieces_of(job)
        self._client.upload_collection(
            COLLECTION,
            self._vectors([PASSAGE + text for text in texts]),
            payload=[{"document": key, "text": text} for key, text in zip(ids, texts, strict=True)],
            ids=range(len(ids)),
        )
        self._client.close()

    def open(self, job: Job) -> None:
        self.prepare(job)

    def search(self, question: str) -> list[str]:
        (vector,) = self._vectors([QUERY + question])
        found = self._client.query_points(COLLECTION, query=vector, limit=DEPTH, with_payload=["document"])
        return [str(point.payload["document"]) for point in found.points]


def _vectors(job: Job) -> Callable[[list[str]], Iterator[Vector]]:
    if job.model is None:
        assert job.address is not None
        embed = shared_vectors(job.address)
        return lambda texts: iter(embed(texts).tolist())
    TextEmbedding.add_custom_model(MODEL, PoolingType.MEAN, normalization=True, sources=ModelSource(hf=MODEL), dim=DIM)
    options = {"specific_model_path": job.model}
    return lambda texts: (Document(text=text, model=MODEL, options=options) for text in texts)


VARIANTS: Variants = {"Qdrant + fastembed": Qdrant}
