"""The chunks that a reader has looked at, with their rows: the queries of a server have most candidates in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rag_search.records import Chunk, FloatMatrix, TokenVectors

if TYPE_CHECKING:
    from rag_search.index.store.encodings import StoredChunk

MAX_CHUNKS = 2000  # 17 MB


class LookedAt:
    """Chunks in memory. `vectors` and `tokens` are safe beside a thread that loads, and load nothing themselves."""

    def __init__(self) -> None:
        self._chunks: dict[int, StoredChunk] = {}

    def chunks(self, chunk_ids: Sequence[int], load: Callable[[Sequence[int]], list[StoredChunk]]) -> list[Chunk]:
        """Return chunks in the order of the ids, for one thread at a time. load: loads those that are missing."""
        if len(self._chunks) > MAX_CHUNKS:
            self._chunks = {}
        missing = [chunk_id for chunk_id in chunk_ids if chunk_id not in self._chunks]
        if missing:
            self._chunks |= {stored.chunk.chunk_id: stored for stored in load(missing)}
        return [self._chunks[chunk_id].chunk for chunk_id in chunk_ids]

    def vectors(self, chunk_ids: Sequence[int]) -> FloatMatrix | None:
        """Return the vectors, float32 (n, dim), in the order of the ids; None unless all chunks were looked at."""
        found = self._found(chunk_ids)
        return np.array([stored.vector for stored in found], np.float32) if found else None

    def tokens(self, chunk_ids: Sequence[int]) -> TokenVectors | None:
        """Return the token vectors in the order of the ids; None unless all chunks were looked at."""
        found = self._found(chunk_ids)
        if not found:
            return None
        rows = [stored.tokens for stored in found]
        lengths = np.array([len(part) for part in rows], np.int64)
        counts = np.array([stored.token_count for stored in found], np.int64)
        return TokenVectors(np.concatenate(rows), lengths, counts)

    def _found(self, chunk_ids: Sequence[int]) -> list[StoredChunk]:
        """Return the chunks; empty unless all were looked at."""
        chunks = self._chunks
        return [chunks[chunk_id] for chunk_id in chunk_ids] if all(map(chunks.__contains__, chunk_ids)) else []
