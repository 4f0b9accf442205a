"""What the models must answer, by transformers in float32, one text at a time, prompts written out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedTokenizerFast

from tests.vllm.checkpoints import END, NO, TASK, YES

PROMPT = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
    "<Instruct>: {i}\n<Query>: {q}\n<Document>: {d}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)


class Reference:
    """Both tiny models."""

    def __init__(self, checkpoints: Path) -> None:
        file = str(checkpoints / "qwen3-reranker" / "tokenizer.json")
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=file)
        self._embedder = AutoModel.from_pretrained(checkpoints / "qwen3-embedding", dtype=torch.float32).eval()
        path = checkpoints / "qwen3-reranker"
        self._reranker = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()

    @torch.no_grad()
    def scores(self, query: str, documents: Sequence[str], instruction: str = TASK) -> np.ndarray:
        """sigmoid(yes - no) of each document, float32 (n,)."""
        out = []
        for document in documents:
            ids = self.tokenizer(PROMPT.format(i=instruction, q=query, d=document))["input_ids"]
            logits = self._reranker(torch.tensor([ids])).logits[0, -1]
            out.append(torch.sigmoid(logits[YES] - logits[NO]).item())
        return np.array(out, np.float32)

    @torch.no_grad()
    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 (n, 64)."""
        rows = []
        for text in texts:
            ids = [*self.tokenizer(text)["input_ids"], END]
            rows.append(self._embedder(torch.tensor([ids])).last_hidden_state[0, -1])
        return torch.nn.functional.normalize(torch.stack(rows), dim=1).numpy()

    def queries(self, queries: Sequence[str], instruction: str = TASK) -> np.ndarray:
        return self.vectors([f"Instruct: {instruction}\nQuery:{query}" for query in queries])
