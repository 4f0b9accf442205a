"""multilingual-e5-small for a tool that takes any function: shared vectors, or sentence-transformers itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.peers.protocol import PASSAGE, QUERY, Job, shared_vectors


class SentenceModel:
    """multilingual-e5-small; both methods return unit rows float32 (n, dim)."""

    def __init__(self, job: Job) -> None:
        if job.model:
            from sentence_transformers import SentenceTransformer

            self._encode = SentenceTransformer(job.model, device="cpu").encode
            self._embed = None
        else:
            assert job.address is not None
            self._embed = shared_vectors(job.address)

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._vectors([PASSAGE + text for text in texts])

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        return self._vectors([QUERY + text for text in texts])

    def _vectors(self, texts: list[str]) -> np.ndarray:
        if self._embed is not None:
            return self._embed(texts)
        return self._encode(texts, normalize_embeddings=True, show_progress_bar=False)
