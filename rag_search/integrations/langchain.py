"""A LangChain retriever over our index. Compressors need no adapter: CohereRerank(base_url=...) works."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import SecretStr

from rag_search.integrations.client import DEFAULT_URL, TIMEOUT_S, search


class RagSearchRetriever(BaseRetriever):
    """Retriever: `RagSearchRetriever(top_k=3).invoke("...")`.

    The parameters are those of rag_search.integrations.client.search. The score of a document is
    `metadata["relevance_score"]`, as with LangChain's compressors.
    """

    url: str = DEFAULT_URL
    top_k: int = 5
    options: dict[str, Any] | None = None
    api_key: SecretStr | None = None
    timeout_s: float = TIMEOUT_S

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,  # noqa: ARG002 - the base class passes it
    ) -> list[Document]:
        passages = search(
            self.url,
            query,
            top_k=self.top_k,
            options=self.options,
            api_key=self.api_key.get_secret_value() if self.api_key else None,
            timeout_s=self.timeout_s,
        )
        return [
            Document(id=p.id, page_content=p.text, metadata={**p.metadata, "relevance_score": p.score})
            for p in passages
        ]
