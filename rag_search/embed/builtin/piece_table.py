"""A hash table from piece to id, built once, mapped from disk and read without loading the vocabulary.

Open addressing, linear probing: int32 slots, id + 1, 0 for empty; the hash is CRC-32 of the piece's UTF-8 bytes. A
match is compared with the piece itself, so a wrong or damaged slot never gives a wrong id.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.builtin.weights import E5File
from rag_search.errors import EngineError

SLOTS = 1 << 20  # for 250,002 pieces: a probe that misses looks at 1.3 slots
TABLE_BYTES = 4 * SLOTS
_MASK = SLOTS - 1
MAX_FOUND = 50_000  # results kept, 5 MB: the queries of a server have most of their words in common
MAX_PROBES = 64  # slots that a search may look at; the longest of the vocabulary looks at fewer


def build_table(file: E5File) -> NDArray[np.int32]:
    """Return the slots. Special tokens are left out: "</s>" in a document is text."""
    offsets, blob = file.piece_offsets().tolist(), bytes(file.piece_blob())
    slots = [0] * SLOTS
    for piece in range(file.pieces):
        if piece in file.special_ids:
            continue
        slot = zlib.crc32(blob[offsets[piece] : offsets[piece + 1]]) & _MASK
        probes = 1
        while slots[slot]:
            slot = (slot + 1) & _MASK
            probes += 1
        assert probes < MAX_PROBES, "the vocabulary is known"
        slots[slot] = piece + 1
    return np.array(slots, np.int32)


class PieceTable:
    """Looks pieces up in the mapped table and in the mapped vocabulary."""

    def __init__(self, file: E5File, path: Path) -> None:
        # memoryviews, because indexing them gives Python numbers three times as fast as indexing arrays does
        self._slots = np.memmap(path, np.int32, mode="r", shape=(SLOTS,)).data
        self._offsets = file.piece_offsets().data
        self._blob = file.piece_blob()
        self._scores = file.piece_scores().data
        self._pieces, self._path = file.pieces, path
        self._found: dict[bytes, int] = {}

    def find(self, piece: bytes) -> int:
        """Return the id of the piece, or -1. Raises EngineError for a damaged table."""
        found = self._found.get(piece)
        if found is None:
            if len(self._found) > MAX_FOUND:
                self._found = {}
            found = self._found[piece] = self._look_up(piece)
        return found

    def _look_up(self, piece: bytes) -> int:
        slots, slot = self._slots, zlib.crc32(piece) & _MASK
        for _ in range(MAX_PROBES):
            candidate = slots[slot]
            if candidate == 0:
                return -1
            if not 0 < candidate <= self._pieces:
                break
            if self._blob[self._offsets[candidate - 1] : self._offsets[candidate]] == piece:
                return int(candidate - 1)
            slot = (slot + 1) & _MASK
        raise EngineError(f"{self._path} is damaged.", remedy=f"Remove {self._path.parent}; it is made again.")

    def score(self, piece: int) -> float:
        """Return the log probability of the piece."""
        return float(self._scores[piece])
