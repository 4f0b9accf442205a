"""The same weights in sentence-transformers, as a user would run them. Needs torch and sentence-transformers."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rag_search.embed.builtin.weights import E5File
from rag_search.records import FloatMatrix
from tests.support.reference import load_bert

Encode = Callable[[Sequence[NDArray[np.int32]]], FloatMatrix]


def sentence_transformer_of(file: E5File, *, threads: int, batch_size: int = 32) -> Encode:
    """`SentenceTransformer.forward` (Transformer, mean Pooling, Normalize) over ids, in batches sorted by length as its
    `encode` makes them; tokenizing is left out on both sides."""
    from sentence_transformers import SentenceTransformer, models

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        model = _assemble(file, Path(folder), SentenceTransformer, models)

    def encode(texts: Sequence[NDArray[np.int32]]) -> FloatMatrix:
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        out = np.empty((len(texts), file.shape.hidden), np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            with torch.inference_mode():
                out[rows] = model(_padded([texts[i] for i in rows], file.special.pad))["sentence_embedding"].numpy()
        return out

    return encode


def _assemble(file: E5File, folder: Path, sentence_transformer: type, models: object) -> torch.nn.Module:
    load_bert(file).save_pretrained(folder)
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", encoding="utf-8")  # never used
    transformer = models.Transformer(str(folder))  # type: ignore[attr-defined]
    pooling = models.Pooling(file.shape.hidden, pooling_mode="mean")  # type: ignore[attr-defined]
    model: torch.nn.Module = sentence_transformer(modules=[transformer, pooling, models.Normalize()], device="cpu")  # type: ignore[attr-defined]
    return model.eval()


def _padded(texts: Sequence[NDArray[np.int32]], pad: int) -> dict[str, torch.Tensor]:
    width = max(map(len, texts))
    ids = torch.full((len(texts), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.from_numpy(text.astype(np.int64))
        mask[row, : len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}
