"""Encode many texts with the PyTorch encoder: length-sorted batches, bf16, tokens kept as int8 as the product does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from base import BaseTokenizer
from model import Encoder, pad

BATCH_TOKENS = 2048
THREADS = 2  # one batch a thread, as in training


@dataclass(frozen=True)
class Vectors:
    """`dense` (n, 384) float32 unit rows; `tokens` per text (length, 128) float32 unit rows (or int8-rounded)."""

    dense: np.ndarray
    tokens: list[np.ndarray]


def encode(encoder: Encoder, tokenizer: BaseTokenizer, texts: list[str], *, max_tokens: int, pad_id: int) -> Vectors:
    """Return the vectors of texts that already carry their `query: ` or `passage: ` prefix, in input order."""
    ids = tokenizer.encode(texts, max_tokens)
    dense = np.zeros((len(ids), encoder.projection.shape[0]), np.float32)
    tokens: list[np.ndarray] = [np.zeros(0)] * len(ids)
    encoder.eval()

    def run(rows: list[int]) -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            out = encoder(*pad([ids[i] for i in rows], pad_id))
        dense[rows] = out.dense.float().numpy()
        for i, vectors in zip(rows, out.tokens.float().numpy(), strict=True):
            tokens[i] = vectors[: len(ids[i])].astype(np.float16)

    with ThreadPoolExecutor(THREADS, initializer=torch.set_num_threads, initargs=(1,)) as workers:
        list(workers.map(run, batches([len(row) for row in ids])))
    return Vectors(dense, tokens)


def batches(lengths: list[int]) -> list[list[int]]:
    """Return row numbers in batches of similar length, at most BATCH_TOKENS padded tokens each."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    out: list[list[int]] = [[]]
    for i in order:
        if out[-1] and (len(out[-1]) + 1) * lengths[i] > BATCH_TOKENS:
            out.append([])
        out[-1].append(i)
    return out


def to_int8(vectors: np.ndarray) -> np.ndarray:
    """Return unit vectors as int8 with the fixed scale 127."""
    return np.rint(vectors.astype(np.float32) * 127).clip(-127, 127).astype(np.int8)
