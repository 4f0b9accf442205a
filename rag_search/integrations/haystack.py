"""A Haystack retriever over our index. Rankers need no adapter: VLLMRanker and HuggingFaceTEIRanker work."""

from __future__ import annotations

from typing import Any

from haystack import Document, component
from haystack.utils import Secret

from rag_search.integrations.client import DEFAULT_URL, KEY_VARIABLE, TIMEOUT_S, search


@component
class RagSearchRetriever:
    """Retriever: `RagSearchRetriever(top_k=3).run("...")["documents"]`.

    The parameters are those of rag_search.integrations.client.search.
    Haystack loads a stored pipeline only with `allowed_modules=["rag_search.integrations.haystack"]`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        top_k: int = 5,
        options: dict[str, Any] | None = None,
        api_key: Secret | None = Secret.from_env_var(KEY_VARIABLE, strict=False),  # noqa: B008 - as Haystack's own do
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.url = url
        self.top_k = top_k
        self.options = options
        self.api_key = api_key
        self.timeout_s = timeout_s

    @component.output_types(documents=list[Document])
    def run(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """Return documents that answer `query`, best first. top_k: for this run only."""
        passages = search(
            self.url,
            query,
            top_k=self.top_k if top_k is None else top_k,
            options=self.options,
            api_key=self.api_key.resolve_value() if self.api_key else None,
            timeout_s=self.timeout_s,
        )
        return {"documents": [Document(id=p.id, content=p.text, meta=p.metadata, score=p.score) for p in passages]}
