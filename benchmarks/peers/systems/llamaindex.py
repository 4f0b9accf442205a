"""LlamaIndex: its Markdown parser and sentence splitter, a vector index on FAISS, its retriever."""

from __future__ import annotations

from typing import Any

import faiss
from llama_index.core import Document, StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.ingestion import run_transformations
from llama_index.core.node_parser import MarkdownNodeParser, SentenceSplitter
from llama_index.vector_stores.faiss import FaissVectorStore

from benchmarks.peers.protocol import DEPTH, PASSAGE, QUERY, Job, Variants, shared_vectors

DIM = 384
KEY = "document"


class SharedEmbedding(BaseEmbedding):
    """LlamaIndex's embedding hook over the shared vectors."""

    _embed: Any = PrivateAttr()

    def __init__(self, address: str) -> None:
        super().__init__(model_name="multilingual-e5-small", embed_batch_size=500)
        self._embed = shared_vectors(address)

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._embed([QUERY + query])[0].tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return self._embed([PASSAGE + text for text in texts]).tolist()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)


class LlamaIndexFaiss:
    """multilingual-e5-small."""

    def prepare(self, job: Job) -> None:
        self._embedding = _embedding(job)

    def build(self, job: Job) -> None:
        context = StorageContext.from_defaults(vector_store=FaissVectorStore(faiss.IndexFlatIP(DIM)))
        index = VectorStoreIndex(
            _nodes(job), storage_context=context, embed_model=self._embedding, insert_batch_size=10_000
        )
        index.storage_context.persist(str(job.folder))

    def open(self, job: Job) -> None:
        store = FaissVectorStore.from_persist_dir(str(job.folder))
        context = StorageContext.from_defaults(vector_store=store, persist_dir=str(job.folder))
        index = load_index_from_storage(context, embed_model=_embedding(job))
        self._retriever = index.as_retriever(similarity_top_k=DEPTH)

    def search(self, question: str) -> list[str]:
        return [str(found.node.metadata[KEY]) for found in self._retriever.retrieve(question)]


def _nodes(job: Job) -> list[Any]:
    """Cut files as LlamaIndex's directory reader and index do by default, with the path in front of the text."""
    hidden = [] if job.markdown else [KEY]
    documents = [
        Document(text=text, metadata={KEY: key}, excluded_embed_metadata_keys=hidden)
        for key, text in job.documents.items()
    ]
    cut = [MarkdownNodeParser(), SentenceSplitter()] if job.markdown else [SentenceSplitter()]
    return list(run_transformations(documents, cut))


def _embedding(job: Job) -> BaseEmbedding:
    if job.model is None:
        assert job.address is not None
        return SharedEmbedding(job.address)
    from llama_index.embeddings.huggingface import HuggingFaceEmbedding

    return HuggingFaceEmbedding(job.model, query_instruction=QUERY, text_instruction=PASSAGE, device="cpu")


VARIANTS: Variants = {"LlamaIndex + FAISS": LlamaIndexFaiss}
