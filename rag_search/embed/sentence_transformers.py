"""Run any embedding model in this process by sentence-transformers: Qwen3-Embedding unless another is named."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.fingerprints import files_id
from rag_search.embed.prompts import PROMPTS, QWEN3_END, Prompts, prompts_of
from rag_search.errors import EngineError, KnownAnswerError, MissingExtraError, first_line
from rag_search.records import FloatMatrix
from rag_search.runtime import telemetry

telemetry.switch_off()
try:
    import torch
    from sentence_transformers import SentenceTransformer
except ImportError as error:
    raise MissingExtraError("sentence-transformers", "st") from error


class SentenceTransformersBackend:
    """An EmbedBackend: bfloat16 on CUDA, float32 on a CPU, padded on the left as in the model card."""

    max_rows = 256
    concurrency = 1

    def __init__(self, model: str, *, device: str | None = None) -> None:
        self.model = model
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        try:
            self._model = SentenceTransformer(
                model, device=device, model_kwargs={"dtype": dtype}, processor_kwargs={"padding_side": "left"}
            )
        except (OSError, ValueError) as error:
            raise EngineError(
                f"the model {model!r} cannot be loaded: {first_line(error)}.",
                remedy="Set embedder.model to a hub name or to the folder of the model.",
            ) from error
        # ingest counts the next texts while these are embedded, and a Rust tokenizer is not safe for two threads
        self._counting = copy.deepcopy(self._model.tokenizer)
        self._dtype = str(dtype).removeprefix("torch.")
        self._device = device

    @property
    def name(self) -> str:
        """Name for people, with precision and device."""
        return f"{self.model} (sentence-transformers, {self._dtype} on {self._device})"

    @property
    def identity(self) -> str:
        """Precision and files of the model."""
        return f"sentence-transformers {self._dtype} {files_id(self._source)}"

    @property
    def prompts(self) -> Prompts:
        """Prompts by the model's name, else its own; a fine-tuned Qwen3 keeps its own task."""
        own = self._model.prompts
        query, document = own.get("query") or "", own.get("document") or ""
        before, after = PROMPTS["qwen3"].query.split("{task}")
        if query.startswith(before) and query.endswith(after):
            return replace(PROMPTS["qwen3"], task=query.removeprefix(before).removesuffix(after))
        named = prompts_of(self.model)
        return named if named.name != "none" else Prompts("none", query=query, document=document)

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text, without special ones: int64 (n,)."""
        rows = self._counting(list(texts), add_special_tokens=False)["input_ids"] if texts else []
        return np.array([len(row) for row in rows], np.int64)

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode one batch of finished texts as float32 unit rows."""
        rows: Any = self._model.encode(
            list(texts), prompt="", batch_size=len(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(rows, np.float32)

    def check_structure(self) -> None:
        """Raise KnownAnswerError for a Qwen3 model with another pooling or without its end token."""
        if self.prompts.name != "qwen3":
            return
        if self._model.tokenizer("x")["input_ids"][-1] != QWEN3_END:
            raise KnownAnswerError(
                f"the tokenizer of {self.model} does not append <|endoftext|> ({QWEN3_END}), the token that is pooled.",
                remedy="Use the tokenizer.json that belongs to the model.",
            )
        modes = [str(getattr(module, "pooling_mode", "")) for module in self._model]
        if not any("lasttoken" in mode for mode in modes):
            raise KnownAnswerError(
                f"{self.model} pools {' '.join(filter(None, modes)) or 'nothing'} instead of the last token.",
                remedy="Restore 1_Pooling/config.json of the model (pooling_mode_lasttoken).",
            )

    @property
    def _source(self) -> str:
        """Origin of the weights: the folder named, the snapshot in the hub's cache, or the name."""
        return str(self._model[0].model.config._name_or_path)
