"""A LlamaIndex retriever over our index. Rerankers need no adapter: TextEmbeddingInference(base_url=...) works."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from rag_search.integrations.client import DEFAULT_URL, TIMEOUT_S, search


class RagSearchRetriever(BaseRetriever):
    """Retriever: `RagSearchRetriever(top_k=3).retrieve("...")`.

    The parameters are those of rag_search.integrations.client.search.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        top_k: int = 5,
        options: Mapping[str, Any] | None = None,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        super().__init__()
        self.url = url
        self.top_k = top_k
        self.options = options
        self.timeout_s = timeout_s
        self._api_key = api_key

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        passages = search(
            self.url,
            query_bundle.query_str,
            top_k=self.top_k,
            options=self.options,
            api_key=self._api_key,
            timeout_s=self.timeout_s,
        )
        return [
            NodeWithScore(node=TextNode(id_=p.id, text=p.text, metadata=p.metadata), score=p.score) for p in passages
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)
