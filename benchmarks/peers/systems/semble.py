"""Run semble's BM25 half alone (alpha 0).

Its static model is only on a hub, so a stand-in without weight takes the model's place and its embeddings do not count.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from model2vec import StaticModel
from semble.index import SembleIndex
from semble.types import ContentType
from tokenizers import Tokenizer, models, pre_tokenizers

from benchmarks.peers.protocol import DEPTH, Job, Variants
from benchmarks.peers.systems.tree import written


class Bm25Half:
    """`SembleIndex.from_path` over the folder, documents only; `search(alpha=0)`."""

    def prepare(self, job: Job) -> None:
        pass

    def build(self, job: Job) -> None:
        tree, self._ids = written(job)
        self._index = SembleIndex.from_path(tree, content=ContentType.DOCS, model_path=str(_stand_in(job.folder)))

    def open(self, job: Job) -> None:
        pass

    def search(self, question: str) -> list[str]:
        found = self._index.search(question, top_k=DEPTH, alpha=0.0)
        return [self._ids[Path(result.chunk.file_path).as_posix()] for result in found]


def _stand_in(folder: Path) -> Path:
    vocabulary = {"[UNK]": 0, "[PAD]": 1}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    path = folder / "stand-in"
    StaticModel(np.ones((2, 2), np.float32), tokenizer).save_pretrained(str(path))
    return path


VARIANTS: Variants = {"semble, BM25 half": Bm25Half}
