"""The chunks of a reader that have no vectors yet: they are encoded when a query has them as candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag_search.index.dense.base import Ids, in_sorted
from rag_search.records import Encoded, FloatMatrix, TokenVectors

MAX_ENCODED = 16  # chunks of one call: half a second of a laptop; the others get zeros

Encode = Callable[[Sequence[str]], Encoded]


@dataclass
class Unencoded:
    """Chunks without vectors. ids: sorted. passages: reads those of chunks. encode: None leaves zeros."""

    ids: Ids
    passages: Callable[[Sequence[int]], list[str]]
    encode: Encode | None = None
    _made: dict[int, Encoded] = field(default_factory=dict)

    def fill_vectors(self, chunk_ids: Sequence[int], vectors: FloatMatrix) -> FloatMatrix:
        """Return the vectors (n, dim) of chunks with those that had none."""
        made = self._encoded(chunk_ids)
        for place, chunk_id in enumerate(chunk_ids):
            if chunk_id in made:
                vectors[place] = made[chunk_id].vectors[0]
        return vectors

    def fill_tokens(self, chunk_ids: Sequence[int], tokens: TokenVectors) -> TokenVectors:
        """Return the token vectors of chunks with those of chunks that had none."""
        made = self._encoded(chunk_ids)
        if not made:
            return tokens
        parts = [
            own.tokens if (own := made.get(chunk_id)) and own.tokens else tokens.part(place, place + 1)
            for place, chunk_id in enumerate(chunk_ids)
        ]
        columns = ([part.rows, part.lengths, part.token_counts] for part in parts)
        return TokenVectors(*(np.concatenate(column) for column in zip(*columns, strict=True)))

    def _encoded(self, chunk_ids: Sequence[int]) -> dict[int, Encoded]:
        """Return the encoded form of those chunks that have no vectors, of the first MAX_ENCODED."""
        if self.encode is None or not len(self.ids):
            return {}
        ids = np.asarray(chunk_ids, np.int64)
        wanted = ids[in_sorted(ids, self.ids)][:MAX_ENCODED].tolist()
        missing = [chunk_id for chunk_id in wanted if chunk_id not in self._made]
        if missing:
            encoded = self.encode(self.passages(missing))
            for row, chunk_id in enumerate(missing):
                tokens = encoded.tokens and encoded.tokens.part(row, row + 1)
                self._made[chunk_id] = Encoded(encoded.vectors[row : row + 1], tokens)
        return {chunk_id: self._made[chunk_id] for chunk_id in wanted}
