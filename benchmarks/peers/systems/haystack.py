"""Haystack: the in-memory document store with its embedding and BM25 retrievers, joined by reciprocal ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from haystack import Document
from haystack.components.joiners import DocumentJoiner
from haystack.components.preprocessors import MarkdownHeaderSplitter
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever, InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.document_stores.types import DuplicatePolicy

from benchmarks.peers.protocol import DEPTH, PASSAGE, QUERY, Job, Variants, shared_vectors


class Dense:
    """multilingual-e5-small."""

    def prepare(self, job: Job) -> None:
        self._documents = _document_embedder(job)

    def build(self, job: Job) -> None:
        documents = [Document(content=text, meta={"document": key}) for key, text in job.documents.items()]
        if job.markdown:
            documents = MarkdownHeaderSplitter(secondary_split="word").run(documents=documents)["documents"]
        store = InMemoryDocumentStore()
        store.write_documents(self._documents(documents), policy=DuplicatePolicy.OVERWRITE)
        store.save_to_disk(str(job.folder / "store.json"))

    def open(self, job: Job) -> None:
        self._embed_query = _query_embedder(job)
        self._store = InMemoryDocumentStore.load_from_disk(str(job.folder / "store.json"))
        self._dense = InMemoryEmbeddingRetriever(self._store, top_k=DEPTH)

    def search(self, question: str) -> list[str]:
        return [str(document.meta["document"]) for document in self._found(question)]

    def _found(self, question: str) -> list[Document]:
        return self._dense.run(query_embedding=self._embed_query(question))["documents"]


class Hybrid(Dense):
    """The dense list and Haystack's BM25 list, joined by reciprocal rank fusion."""

    def open(self, job: Job) -> None:
        super().open(job)
        self._bm25 = InMemoryBM25Retriever(self._store, top_k=DEPTH)
        self._joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion")

    def _found(self, question: str) -> list[Document]:
        lists = [self._bm25.run(query=question)["documents"], super()._found(question)]
        return self._joiner.run(documents=lists)["documents"]


def _document_embedder(job: Job) -> Callable[[list[Document]], list[Document]]:
    if job.model is None:
        assert job.address is not None
        embed = shared_vectors(job.address)

        def with_vectors(documents: list[Document]) -> list[Document]:
            rows = embed([f"{PASSAGE}{document.content}" for document in documents])
            return [replace(document, embedding=row.tolist()) for document, row in zip(documents, rows, strict=True)]

        return with_vectors
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersDocumentEmbedder

    embedder = SentenceTransformersDocumentEmbedder(
        model=job.model, prefix=PASSAGE, progress_bar=False, normalize_embeddings=True
    )
    embedder.warm_up()
    return lambda documents: embedder.run(documents=documents)["documents"]


def _query_embedder(job: Job) -> Callable[[str], list[float]]:
    if job.model is None:
        assert job.address is not None
        embed = shared_vectors(job.address)
        return lambda question: embed([QUERY + question])[0].tolist()
    from haystack_integrations.components.embedders.sentence_transformers import SentenceTransformersTextEmbedder

    embedder = SentenceTransformersTextEmbedder(
        model=job.model, prefix=QUERY, progress_bar=False, normalize_embeddings=True
    )
    embedder.warm_up()
    return lambda question: embedder.run(text=question)["embedding"]


VARIANTS: Variants = {"Haystack": Dense, "Haystack hybrid": Hybrid}
