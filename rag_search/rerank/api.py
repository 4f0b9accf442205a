"""A reranker behind HTTP: vLLM, Text Embeddings Inference, Cohere, Jina and what speaks like them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from rag_search.embed.prompts import QWEN3_END
from rag_search.errors import KnownAnswerError
from rag_search.parallel import in_parallel
from rag_search.records import FloatVector
from rag_search.remote import CONCURRENCY, Remote
from rag_search.rerank.api_shapes import MAX_DOCUMENTS, Shape, read_scores, rerank_body
from rag_search.rerank.qwen3 import (
    PROBE,
    TEMPLATE,
    check_prompt_length,
    check_tail,
    is_qwen3_reranker,
    not_a_classifier,
)
from rag_search.special_tokens import neutralise


class ApiReranker:
    """A Reranker. max_tokens_per_doc: longer passages are cut there, inside the template."""

    def __init__(
        self,
        remote: Remote,
        model: str,
        *,
        shape: Shape = "vllm",
        max_tokens_per_doc: int = 2048,
        default: str | None = None,
    ) -> None:
        self.remote, self.model = remote, model
        self._shape, self._max_tokens, self._default = shape, max_tokens_per_doc, default
        self._qwen3 = is_qwen3_reranker(model)

    @property
    def name(self) -> str:
        return f"{self.model} ({self._shape} {self.remote.url})"

    @property
    def fingerprint(self) -> str:
        parts = (self.model, self._shape, self._max_tokens, self._default, self._qwen3 and TEMPLATE.read_text("utf-8"))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        return self._qwen3 and self._shape == "vllm"

    @property
    def threshold(self) -> float | None:
        return None

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        size = MAX_DOCUMENTS[self._shape]
        groups = [passages[i : i + size] for i in range(0, len(passages), size)]
        if not groups:
            return np.empty(0, np.float32)
        told = instruction or self._default
        return np.concatenate(in_parallel(lambda group: self._rerank(query, group, told), groups, workers=CONCURRENCY))

    def score_pairs(
        self, queries: Sequence[str], passages: Sequence[str], *, instruction: str | None = None
    ) -> FloatVector:
        """One score for each (query, passage), float32 (n,), in one request to vLLM's /score."""
        if len(queries) != len(passages):
            raise ValueError(f"{len(queries)} queries for {len(passages)} passages")
        body = {
            "model": self.model,
            "queries": [self._safe(query) for query in queries],
            "documents": [self._safe(passage) for passage in passages],
            "max_tokens_per_doc": self._max_tokens,
            **({"instruction": self._safe(told)} if (told := instruction or self._default) else {}),
        }
        return read_scores(self.remote.post("/score", body), len(passages), self.name)

    def count_cut(self, passages: Sequence[str]) -> int:
        """How many of the passages are longer than the model is given. A token has at least one byte, so the server's
        tokenizer is asked only for those that can be."""
        suspects = [passage for passage in passages if len(passage.encode()) > self._max_tokens]
        if not suspects or self._shape != "vllm":
            return 0
        return sum(n > self._max_tokens for n in in_parallel(self._count, suspects, workers=CONCURRENCY))

    def check_structure(self) -> None:
        """Raises KnownAnswerError when the server is no reranker or prompts the model in another way."""
        if not self._qwen3 or self._shape != "vllm":
            return
        # without a model's name, which would be another one on a server that was never meant
        if self.remote.probe("/v1/embeddings", {"input": "d"}) is not None:
            raise not_a_classifier(self.name, end_token=self._appends_end())
        messages = [{"role": role, "content": text} for role, text in zip(("query", "document"), PROBE, strict=True)]
        answer = self.remote.probe("/tokenize", {"messages": messages})
        if answer is not None:
            check_tail(answer["tokens"], self.name)
            return
        reply = self.remote.post("/rerank", {"model": self.model, "query": PROBE[0], "documents": [PROBE[1]]})
        if "usage" not in reply:
            raise KnownAnswerError(
                f"{self.name} does not say how it prompts the model.",
                remedy="Serve it by vLLM (ragsearch up), or set reranker.check to false if you are sure.",
            )
        check_prompt_length(reply["usage"]["prompt_tokens"], self.name)

    def _appends_end(self) -> bool:
        answer = self.remote.probe("/tokenize", {"prompt": "d"})
        return answer is not None and answer["tokens"][-1] == QWEN3_END

    def _rerank(self, query: str, passages: Sequence[str], instruction: str | None) -> FloatVector:
        body = rerank_body(
            self._shape,
            self.model,
            self._safe(query),
            [self._safe(passage) for passage in passages],
            instruction=self._safe(instruction) if instruction else None,
            max_tokens=self._max_tokens,
        )
        return read_scores(self.remote.post("/rerank", body), len(passages), self.name)

    def _count(self, passage: str) -> int:
        answer = self.remote.probe("/tokenize", {"prompt": self._safe(passage), "add_special_tokens": False})
        return 0 if answer is None else int(answer["count"])

    def _safe(self, text: str) -> str:
        return neutralise(text) if self._qwen3 else text
