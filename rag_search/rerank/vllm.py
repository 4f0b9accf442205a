"""Rerank with Qwen3-Reranker in this process, by vLLM, with the template of this package.

vLLM may spawn a worker, so a program that uses this needs `if __name__ == "__main__":`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from rag_search.embed.fingerprints import files_id
from rag_search.errors import EngineError, MissingExtraError, first_line
from rag_search.records import FloatVector
from rag_search.rerank.qwen3 import OVERRIDES, PROBE, TEMPLATE, check_tail, is_qwen3_reranker
from rag_search.runtime import telemetry
from rag_search.text.special_tokens import neutralise

telemetry.switch_off()
try:
    from vllm import LLM, PoolingParams
    from vllm.exceptions import VLLMError
except ImportError as error:
    raise MissingExtraError("vllm", "gpu") from error


class VllmReranker:
    """A Reranker in this process. options: further arguments of `vllm.LLM`."""

    def __init__(
        self,
        model: str,
        *,
        max_tokens_per_doc: int = 2048,
        max_model_len: int = 8192,
        gpu_memory_utilization: float = 0.5,
        default: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.model, self._max_tokens, self._default = model, max_tokens_per_doc, default
        self._template = TEMPLATE.read_text("utf-8") if is_qwen3_reranker(model) else None
        overrides = json.loads(OVERRIDES) if self._template and "seq-cls" not in model.lower() else None
        settings: dict[str, Any] = {
            "runner": "pooling",
            "max_model_len": max_model_len,
            "gpu_memory_utilization": gpu_memory_utilization,
            "hf_overrides": overrides,
            "chat_template": self._template,  # vLLM 0.33 checks it at the start; 0.32 reads only that of each call
            **(options or {}),
        }
        try:
            self._llm = LLM(model, **settings)
        except (VLLMError, OSError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"vLLM cannot load {model!r}: {first_line(error)}.",
                remedy="Set reranker.model to a hub name or a folder; lower reranker.gpu_memory_utilization "
                "if the card is shared.",
            ) from error

    @property
    def name(self) -> str:
        """Name of the model and of its engine, for people."""
        return f"{self.model} (vllm)"

    @property
    def fingerprint(self) -> str:
        """Hash of everything that changes a score."""
        parts = (files_id(self.model), self._max_tokens, self._default, self._template)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """True if the model has a place for an instruction in its prompt."""
        return self._template is not None

    @property
    def threshold(self) -> float | None:
        """None: the scores are not calibrated."""
        return None

    def score(self, query: str, passages: Sequence[str], *, instruction: str | None = None) -> FloatVector:
        """Return scores float32 (len(passages),), in order."""
        outputs = self._outputs(query, passages, instruction or self._default)
        return np.array([output.outputs.score for output in outputs], np.float32)

    def count_truncated(self, passages: Sequence[str]) -> int:
        """Return how many of the passages are longer than the model reads."""
        encode = self._llm.get_tokenizer().encode
        return sum(len(encode(self._safe(p), add_special_tokens=False)) > self._max_tokens for p in passages)

    def check_structure(self) -> None:
        """Raise KnownAnswerError unless the prompt ends as the model was trained."""
        if self._template:
            (output,) = self._outputs(PROBE[0], [PROBE[1]], None)
            check_tail(output.prompt_token_ids, self.name)

    def _outputs(self, query: str, passages: Sequence[str], instruction: str | None) -> Any:
        variables = {"instruction": neutralise(instruction)} if instruction and self._template else {}
        extra = {"chat_template_kwargs": variables, "max_tokens_per_doc": self._max_tokens}
        try:
            return self._llm.score(
                self._safe(query),
                [self._safe(passage) for passage in passages],
                chat_template=self._template,
                pooling_params=PoolingParams(extra_kwargs=extra),
                use_tqdm=False,
            )
        except (VLLMError, ValueError, RuntimeError) as error:
            raise EngineError(
                f"{self.name} cannot score: {first_line(error)}.",
                remedy="Shorten the query, or lower reranker.max_tokens_per_doc.",
            ) from error

    def _safe(self, text: str) -> str:
        return neutralise(text) if self._template else text
