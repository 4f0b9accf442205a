"""Rerank by a server: vLLM, Text Embeddings Inference, Cohere, Jina, or one with the same API."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_search.embed.prompts import QWEN3_END
from rag_search.errors import KnownAnswerError
from rag_search.records import FloatVector
from rag_search.rerank.base import PairRequest
from rag_search.rerank.qwen3 import (
    PROBE,
    PROMPT_ROOM,
    TEMPLATE,
    check_prompt_length,
    check_tail,
    is_qwen3_reranker,
    not_a_classifier,
)
from rag_search.rerank.remote_formats import MAX_DOCUMENTS, Shape, read_scores, rerank_body
from rag_search.runtime.foreign_json import is_whole
from rag_search.runtime.model_client import CONCURRENCY, NoRouteError, Remote, prompt_tokens_of, tokens_of
from rag_search.runtime.threads import map_parallel
from rag_search.text.special_tokens import neutralise


class ApiReranker:
    """A Reranker behind HTTP. max_tokens_per_doc: longer passages are truncated to it, inside the template."""

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
        self._without_score = False  # whether the server has turned out to have no /score

    @property
    def name(self) -> str:
        """Name of the model and of its engine, for people."""
        return f"{self.model} ({self._shape} {self.remote.url})"

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        parts = (self.model, self._shape, self._max_tokens, self._default, self._qwen3 and TEMPLATE.read_text("utf-8"))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """True if the model has a place for an instruction in its prompt."""
        return self._qwen3 and self._shape == "vllm"

    @property
    def threshold(self) -> float | None:
        """None: the scores are not calibrated."""
        return None

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return scores float32 (len(passages),), in order."""
        return self._score_apart([PairRequest(query, passages, instruction)])[0]

    def score_many(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        """Return the scores of each request.

        Pairs under one instruction share requests to vLLM's /score, so many small requests cost one round trip. A
        server without that path gets /rerank for each request.
        """
        if self.follows_instructions and len(requests) > 1 and not self._without_score:
            try:
                return self._score_together(requests)
            except NoRouteError:  # if the model is missing instead, /rerank reports that
                self._without_score = True
        return self._score_apart(requests)

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the model reads.

        A token has at least one byte, so the server tokenizes only passages that can be too long.
        """
        suspects = [passage for passage in passages if len(passage.encode()) > self._max_tokens]
        if not suspects or self._shape != "vllm":
            return 0
        return sum(n > self._max_tokens for n in map_parallel(self._count, suspects, workers=CONCURRENCY))

    def check_structure(self) -> None:
        """Raise KnownAnswerError if the server is not a reranker or prompts the model in another way."""
        if not self._qwen3 or self._shape != "vllm":
            return
        # without the name of a model: if the address is wrong, the server has another one
        if self.remote.probe("/v1/embeddings", {"input": "d"}) is not None:
            raise not_a_classifier(self.name, end_token=self._appends_end())
        messages = [{"role": role, "content": text} for role, text in zip(("query", "document"), PROBE, strict=True)]
        tokens = tokens_of(self.remote.probe("/tokenize", {"messages": messages}))
        body = {"model": self.model, "query": PROBE[0], "documents": [PROBE[1]]}
        if tokens is not None:  # of the tokenizer's own template, which /rerank of vLLM does not use
            check_tail(tokens, self.name)
            self._check_room()
            read = prompt_tokens_of(self.remote.probe("/v1/rerank", body))
        else:
            read = prompt_tokens_of(self.remote.post("/rerank", body))
            if read is None:
                raise KnownAnswerError(
                    f"{self.name} does not report how it prompts the model.",
                    remedy="Serve it by vLLM (ragsearch up), or set reranker.check to false if you are sure.",
                )
        if read is not None:
            check_prompt_length(read, self.name)

    def _check_room(self) -> None:
        """Raise KnownAnswerError if a passage of the allowed length and its prompt are too long for the server."""
        room = _shortest_limit(self.remote.probe("/v1/models"))
        if room is not None and room < self._max_tokens + PROMPT_ROOM:
            raise KnownAnswerError(
                f"{self.name} takes {room} tokens, too few for a passage of {self._max_tokens} and its prompt "
                f"({PROMPT_ROOM}).",
                remedy=f"Serve it with: --max-model-len {self._max_tokens + PROMPT_ROOM}, or set "
                f"reranker.max_tokens_per_doc to {room - PROMPT_ROOM}.",
            )

    def _score_apart(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        """Score by /rerank, which takes one query; at most CONCURRENCY requests run at a time."""
        size = MAX_DOCUMENTS[self._shape]
        work = [(r, r.passages[i : i + size]) for r in requests for i in range(0, len(r.passages), size)]
        rows = map_parallel(
            lambda job: self._rerank(job[0].query, job[1], self._instruction(job[0])), work, workers=CONCURRENCY
        )
        return _split(np.concatenate(rows) if rows else np.empty(0, np.float32), requests)

    def _score_together(self, requests: Sequence[PairRequest]) -> list[FloatVector]:
        """Score by /score, which takes pairs under one instruction."""
        pairs = [(self._instruction(r), r.query, passage) for r in requests for passage in r.passages]
        scores = np.empty(len(pairs), np.float32)
        for instruction in {pair[0]: None for pair in pairs}:  # each once, in order
            rows = [row for row, pair in enumerate(pairs) if pair[0] == instruction]
            scores[rows] = self._score_pairs([pairs[row][1:] for row in rows], instruction)
        return _split(scores, requests)

    def _instruction(self, request: PairRequest) -> str | None:
        return request.instruction or self._default

    def _score_pairs(self, pairs: Sequence[tuple[str, str]], instruction: str | None) -> FloatVector:
        size = MAX_DOCUMENTS[self._shape]
        groups = [pairs[i : i + size] for i in range(0, len(pairs), size)]
        return np.concatenate(map_parallel(lambda group: self._score(group, instruction), groups, workers=CONCURRENCY))

    def _score(self, pairs: Sequence[tuple[str, str]], instruction: str | None) -> FloatVector:
        body = {
            "model": self.model,
            "queries": [self._safe(query) for query, _ in pairs],
            "documents": [self._safe(passage) for _, passage in pairs],
            "max_tokens_per_doc": self._max_tokens,
            **({"instruction": self._safe(instruction)} if instruction else {}),
        }
        return read_scores(self.remote.post("/score", body), len(pairs), self.name)

    def _appends_end(self) -> bool:
        tokens = tokens_of(self.remote.probe("/tokenize", {"prompt": "d"}))
        return tokens is not None and tokens[-1] == QWEN3_END

    def _rerank(self, query: str, passages: Sequence[str], instruction: str | None) -> FloatVector:
        body = rerank_body(
            self._shape,
            self.model,
            self._safe(query),
            [self._safe(passage) for passage in passages],
            instruction=self._safe(instruction) if instruction else None,
            max_tokens=self._max_tokens,
        )
        base = self.remote.root if self._shape == "tei" else None  # TEI knows no version
        return read_scores(self.remote.post("/rerank", body, base=base), len(passages), self.name)

    def _count(self, passage: str) -> int:
        answer = self.remote.probe("/tokenize", {"prompt": self._safe(passage), "add_special_tokens": False})
        return len(tokens_of(answer) or ())

    def _safe(self, text: str) -> str:
        return neutralise(text) if self._qwen3 else text


def _split(scores: FloatVector, requests: Sequence[PairRequest]) -> list[FloatVector]:
    """Split the scores of all passages into those of each request."""
    return np.split(scores, np.cumsum([len(r.passages) for r in requests])[:-1])


def _shortest_limit(models: Any) -> int | None:
    """Return the smallest `max_model_len` in an answer of /v1/models; None if it has none."""
    rows = models.get("data") if isinstance(models, dict) else None
    limits = [row.get("max_model_len") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return min((limit for limit in limits if is_whole(limit) and limit > 0), default=None)
