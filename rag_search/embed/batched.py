"""Make an Embedder of any backend that turns a batch of texts into vectors.

Prompts, batches, checks and Matryoshka dimensions are the same for all backends and are handled here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.base import batches
from rag_search.embed.prompts import Prompts
from rag_search.errors import ConfigError, EngineError
from rag_search.records import Encoded, EncodedQueries, FloatMatrix
from rag_search.runtime.threads import map_parallel

NORM_TOLERANCE = 0.01  # half precision loses about 0.001; a model that does not normalise is off by far more


class EmbedBackend(Protocol):
    """One model behind one interface.

    name: for people. model: its hub name or folder. identity: hashed into the fingerprint (model, weights, precision,
    pooling). max_rows: texts in one batch. concurrency: batches at the same time.
    """

    @property
    def name(self) -> str:
        """Name for people."""
        ...

    @property
    def model(self) -> str:
        """Hub name or folder."""
        ...

    @property
    def identity(self) -> str:
        """Everything that changes a vector, for the fingerprint."""
        ...

    @property
    def max_rows(self) -> int:
        """Texts in one batch."""
        ...

    @property
    def concurrency(self) -> int:
        """Batches at the same time."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text, without special ones: int64 (n,)."""
        ...

    def embed(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode one batch of finished texts (prompts included) as float32 (n, full dim) unit rows."""
        ...

    def check_structure(self) -> None:
        """Check what can be seen of tokens and pooling. Raises KnownAnswerError with the flag to change."""
        ...


class BatchedEmbedder:
    """An Embedder over a backend. dim: leading columns kept (Matryoshka, normalised again); None: all."""

    def __init__(
        self, backend: EmbedBackend, prompts: Prompts, *, dim: int | None = None, batch_tokens: int = 16_384
    ) -> None:
        self.backend, self.prompts = backend, prompts
        self._dim, self._batch_tokens = dim, batch_tokens

    @property
    def name(self) -> str:
        """Name for people."""
        return self.backend.name

    @cached_property
    def dim(self) -> int:
        """Columns of a vector. The model is asked once; a query does not need it."""
        return int(self._embed([self.prompts.document_text("dimension")]).shape[1])

    @property
    def token_dim(self) -> int:
        """0: the backends make no token vectors."""
        return 0

    @cached_property
    def fingerprint(self) -> str:
        """Hash of backend, dimension and prompts."""
        parts = (self.backend.identity, self._dim, self.prompts.query, self.prompts.document)
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def follows_instructions(self) -> bool:
        """Whether the prompt of a query has room for an instruction."""
        return self.prompts.follows_instructions

    def count_tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """Count the tokens of each text: int64 (n,)."""
        return self.backend.count_tokens(texts)

    def encode_documents(self, passages: Sequence[str]) -> Encoded:
        """Encode passages as unit rows float32 (n, dim). Raises EngineError, ConfigError."""
        return Encoded(self._embed([self.prompts.document_text(passage) for passage in passages]))

    def encode_queries(self, queries: Sequence[str], *, instruction: str | None = None) -> EncodedQueries:
        """Encode queries as unit rows float32 (n, dim), without token vectors. Raises EngineError, ConfigError."""
        texts = [self.prompts.query_text(query, instruction=instruction) for query in queries]
        return EncodedQueries(self._embed(texts))

    def _embed(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode finished texts in batches of similar length."""
        if not texts:
            return np.empty((0, self.dim), np.float32)
        lengths = self.count_tokens(texts)
        groups = list(batches(lengths, max_tokens=self._batch_tokens, max_rows=self.backend.max_rows))
        work = [[texts[i] for i in group] for group in groups]
        blocks = map_parallel(self._embed_batch, work, workers=self.backend.concurrency)
        out = np.empty((len(texts), blocks[0].shape[1]), np.float32)
        for group, block in zip(groups, blocks, strict=True):
            if block.shape[1] != out.shape[1]:
                raise EngineError(f"{self.name} answered vectors of {block.shape[1]} and of {out.shape[1]} columns.")
            out[group] = block
        return out

    def _embed_batch(self, texts: Sequence[str]) -> FloatMatrix:
        """Encode one batch, check it and keep the leading columns."""
        rows = np.asarray(self.backend.embed(texts), np.float32)
        check_vectors(rows, len(texts), self.name)
        if self._dim is not None:
            if self._dim > rows.shape[1]:
                raise ConfigError(
                    f"embedder.dim is {self._dim}, but {self.name} has {rows.shape[1]} dimensions.",
                    remedy=f"Set embedder.dim to at most {rows.shape[1]}.",
                )
            rows = rows[:, : self._dim]
        return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def check_vectors(rows: FloatMatrix, count: int, name: str) -> None:
    """Raise EngineError unless there are `count` finite rows of length 1."""
    if rows.ndim != 2 or len(rows) != count or not rows.size:
        raise EngineError(
            f"{name} answered vectors of shape {rows.shape} for {count} texts.", remedy="Run: ragsearch doctor"
        )
    if not np.isfinite(rows).all():
        raise EngineError(f"{name} answered a vector that is not finite.", remedy="Run: ragsearch doctor")
    worst = float(np.abs(np.linalg.norm(rows, axis=1) - 1).max())
    if worst > NORM_TOLERANCE:
        raise EngineError(
            f"{name} answered vectors that are not of length 1 (off by {worst:.3g}).",
            remedy="Serve it with its own pooling: vLLM reads modules.json; do not pass --pooler-config.",
        )
