"""Rerank in this process with any model of sentence-transformers' CrossEncoder."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from rag_search.embed.base import batches
from rag_search.embed.fingerprints import files_id
from rag_search.errors import EngineError, MissingExtraError, first_line
from rag_search.records import FloatVector
from rag_search.rerank.qwen3 import TEMPLATE, check_tail, is_qwen3_reranker
from rag_search.runtime import telemetry
from rag_search.text.special_tokens import neutralise

telemetry.switch_off()
try:
    import torch
    from sentence_transformers import CrossEncoder
except ImportError as error:
    raise MissingExtraError("sentence-transformers", "st") from error

_BATCH_TOKENS = 16_384
_TEMPLATE_TOKENS = 80
_USUAL_QUERY = 16  # tokens; for counting what is cut, which is asked without the query


class CrossEncoderReranker:
    """A Reranker. Qwen3-Reranker gets the template of this package: `predict` raises on the model's own."""

    def __init__(
        self, model: str, *, max_tokens_per_doc: int = 2048, default: str | None = None, device: str | None = None
    ) -> None:
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        try:
            self._model: Any = CrossEncoder(model, device=device, model_kwargs={"dtype": dtype})
        except (OSError, ValueError) as error:
            raise EngineError(
                f"the model {model!r} cannot be loaded: {first_line(error)}.",
                remedy="Set reranker.model to a hub name or to a folder that holds the model.",
            ) from error
        self.model, self._max_tokens, self._default = model, max_tokens_per_doc, default
        self._dtype, self._device = str(dtype).removeprefix("torch."), device
        self._qwen3 = is_qwen3_reranker(model)
        if self._qwen3:
            self._model.tokenizer.chat_template = TEMPLATE.read_text("utf-8")

    @property
    def name(self) -> str:
        """Name of the model and of its engine, for people."""
        return f"{self.model} (cross-encoder, {self._dtype} on {self._device})"

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        template = self._qwen3 and TEMPLATE.read_text("utf-8")
        parts = (files_id(self.model), self._dtype, self._max_tokens, self._default, template)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """True if the model has a place for an instruction in its prompt."""
        return self._qwen3

    @property
    def threshold(self) -> float | None:
        """None: the scores are not calibrated."""
        return None

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return scores float32 (len(passages),), in order."""
        query = self._safe(query)
        prompt = neutralise(instruction or self._default or "") if self._qwen3 else ""
        around = sum(map(len, self._offsets([query, prompt]))) + _TEMPLATE_TOKENS
        truncated, lengths = self._truncate(passages, around=around)
        scores = np.empty(len(passages), np.float32)
        for rows in batches(lengths, max_tokens=_BATCH_TOKENS):
            scores[rows] = self._model.predict(
                [(query, truncated[i]) for i in rows],
                prompt=prompt or None,
                batch_size=len(rows),
                show_progress_bar=False,
                activation_fn=torch.nn.Sigmoid(),
            )
        return scores

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the model reads beside a query of usual length.

        Beyond its own limit the model truncates them itself.
        """
        around = _TEMPLATE_TOKENS if self._qwen3 else self._model.tokenizer.num_special_tokens_to_add(pair=True)
        limit = min(self._max_tokens, self._longest - around - _USUAL_QUERY)
        return sum(len(row) > limit for row in self._offsets([self._safe(text) for text in passages]))

    def check_structure(self) -> None:
        """Raise KnownAnswerError unless the prompt ends as the model was trained."""
        if self._qwen3:
            messages = [{"role": "query", "content": "q"}, {"role": "document", "content": "d"}]
            text = self._model.tokenizer.apply_chat_template(messages, tokenize=False)
            check_tail(self._model.tokenizer(text)["input_ids"], self.name)

    @property
    def _longest(self) -> int:
        """Largest number of tokens of a prompt."""
        newer = getattr(self._model, "max_seq_length", None)  # sentence-transformers 6.2 warns of max_length
        return newer or self._model.max_length or sys.maxsize

    def _truncate(
        self, passages: Sequence[str], *, around: int
    ) -> tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]:
        """Truncate passages to `max_tokens_per_doc`; return them and the tokens of each prompt.

        around: tokens of the prompt besides the passage.
        """
        safe = [self._safe(passage) for passage in passages]
        offsets, limit = self._offsets(safe), self._max_tokens
        kept = [
            text[: row[limit - 1][1]] if len(row) > limit else text for text, row in zip(safe, offsets, strict=True)
        ]
        lengths = [min(min(len(row), limit) + around, self._longest) for row in offsets]
        return kept, np.array(lengths, np.int64)

    def _offsets(self, texts: Sequence[str]) -> Sequence[Sequence[tuple[int, int]]]:
        """Return (start, end) of each token of each text."""
        if not texts:
            return []
        encoded = self._model.tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
        return cast("list[list[tuple[int, int]]]", encoded["offset_mapping"])

    def _safe(self, text: str) -> str:
        return neutralise(text) if self._qwen3 else text
