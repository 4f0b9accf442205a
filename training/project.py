"""The late-interaction projection: the mean token vector and the 128 main directions of centred token vectors (PCA)."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from base import BaseTokenizer, read_base
from data import Pair, passage_text, read_pairs
from encode import batches
from model import DIM, Encoder, pad


def main() -> None:
    """Write `mean` (384,) and `projection` (384, 128) of the untrained model, from English and Chinese passages.

    The passages are training passages, so that neither file knows anything of an evaluation set.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.jsonl.xz")
    parser.add_argument("--passages", type=int, default=1000, help="passages drawn for each language")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    base = read_base()
    pairs = list(read_pairs(arguments.pairs))
    texts = [text for language in ("en", "zh") for text in sample(pairs, language, arguments.passages)]
    vectors = token_vectors(Encoder(base), BaseTokenizer(base).encode(texts, 256), base.pad)
    mean, projection = pca(vectors)
    np.savez(arguments.out, mean=mean, projection=projection)


def sample(pairs: list[Pair], language: str, count: int) -> list[str]:
    """Return the same random passages of one language each time, with the passage prefix."""
    rows = [pair for pair in pairs if pair.lang == language]
    chosen = np.random.default_rng(0).permutation(len(rows))[:count]
    return [passage_text(rows[i], rows[i].title) for i in chosen]


def token_vectors(encoder: Encoder, ids: list[np.ndarray], pad_id: int) -> np.ndarray:
    """Return the last hidden states of all tokens, (tokens, 384) float32."""
    out = []
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for rows in batches([len(row) for row in ids]):
            padded, mask = pad([ids[i] for i in rows], pad_id)
            out.append(encoder.hidden_states(padded, mask)[mask].float().numpy())
    return np.concatenate(out)


def pca(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (384,) and the top directions (384, 128) by falling variance, as float32."""
    mean = vectors.mean(0, dtype=np.float64)
    centred = vectors - mean
    _values, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    return mean.astype(np.float32), np.ascontiguousarray(directions[:, ::-1][:, :DIM], np.float32)


if __name__ == "__main__":
    main()
