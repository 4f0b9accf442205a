"""A bit that flips in the converted model: answered rightly, refused, or found; never a wrong answer, never a hang."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.builtin.convert import Converted, ensure_converted, verify_converted
from rag_search.embed.builtin.embedder import BuiltinEmbedder
from rag_search.embed.builtin.network import network_path
from rag_search.embed.builtin.piece_table import SLOTS, PieceTable
from rag_search.embed.builtin.weights import E5File, find_weights
from rag_search.errors import EngineError, ForeignFileError
from rag_search.runtime.onnx import open_session

QUERY = "如何解决 Redis connection timeout"


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


@pytest.fixture
def copy(converted: Converted, tmp_path: Path) -> Converted:
    """A copy of the conversion, in a cache of its own that was checked once."""
    shutil.copytree(converted.folder, tmp_path / converted.folder.name)
    return ensure_converted(tmp_path, find_weights(), network_path("zero-shot"))


@pytest.mark.parametrize("name", ["encoder.onnx", "encoder.bin", "pieces.i32", "sha256.json"])
def test_a_flipped_bit_is_replaced(copy: Converted, converted: Converted, name: str) -> None:
    """A full comparison finds it; the next start makes the model again, but for a bit of the digests themselves."""
    seed = random.randrange(2**32)
    flip(copy.folder / name, random.Random(seed).randrange(8 * (copy.folder / name).stat().st_size))
    with pytest.raises(EngineError, match=r"is damaged\. Remove"):
        verify_converted(copy)
    again = ensure_converted(copy.folder.parent, find_weights(), network_path("zero-shot"))
    for file in (again.graph, again.data, again.table):
        assert file.read_bytes() == (converted.folder / file.name).read_bytes(), f"seed {seed}"


def test_a_graph_whose_names_are_no_text_is_one_error(copy: Converted, capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime printed to stdout, where the hits of a query go, and tried once more."""
    copy.graph.write_bytes(copy.graph.read_bytes().replace(b"MatMul", b"\xe3atMul"))
    with pytest.raises(EngineError, match="cannot be opened"):
        open_session(copy.graph, remedy="Remove it.")
    assert capfd.readouterr() == ("", "")


def test_an_ingest_compares_files_that_look_unchanged(copy: Converted) -> None:
    """A disk that loses a bit changes no time stamp: a full comparison finds it before anything is embedded."""
    embedder = BuiltinEmbedder(cache_dir=copy.folder.parent, threads=1)
    embedder.wait_until_open()
    flip(copy.data, 8_000_000)
    time.sleep(0.1)  # a tick of the file system
    os.utime(copy.digests)  # as if the graph were older
    damaged = BuiltinEmbedder(cache_dir=copy.folder.parent, threads=1)
    with pytest.raises(EngineError, match=r"encoder\.bin is damaged"):
        damaged.verify_files()


@pytest.mark.parametrize("filling", [1, 250_002, -1, 2**31 - 1])
def test_a_table_without_an_end_does_not_loop(e5_file: E5File, tmp_path: Path, filling: int) -> None:
    """A search looks at few slots; a slot that names no piece is an error."""
    path = tmp_path / "pieces.i32"
    np.full(SLOTS, filling, np.int32).tofile(path)
    with pytest.raises(EngineError, match="is damaged"):
        PieceTable(e5_file, path).find("▁redis".encode())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives a file to another user")
def test_a_model_of_another_user_is_not_believed(copy: Converted) -> None:
    """Neither is one that everybody may write to."""
    os.chown(copy.graph, 12345, -1)
    with pytest.raises(ForeignFileError, match="belongs to another user"):
        ensure_converted(copy.folder.parent, find_weights(), network_path("zero-shot"))
    os.chown(copy.graph, 0, -1)
    copy.folder.chmod(0o777)
    with pytest.raises(ForeignFileError, match="everybody may write"):
        ensure_converted(copy.folder.parent, find_weights(), network_path("zero-shot"))
    copy.folder.chmod(0o755)
    assert ensure_converted(copy.folder.parent, find_weights(), network_path("zero-shot")) == copy


@pytest.mark.slow
def test_a_thousand_flips(copy: Converted) -> None:
    """After each, the model is made again or answers as before; the seed is in the message."""
    seed, cache = random.randrange(2**32), copy.folder.parent
    print(f"seed {seed}")
    draw = random.Random(seed)
    sound = {file: file.read_bytes() for file in copy.folder.iterdir()}
    for _ in range(1000):
        path = draw.choice(sorted(sound))
        flip(path, draw.randrange(8 * len(sound[path])))
        with pytest.raises(EngineError, match="is damaged"):
            verify_converted(copy)
        path.write_bytes(sound[path])
    vector = BuiltinEmbedder(cache_dir=cache, threads=1).encode_queries([QUERY]).vectors
    assert np.isfinite(vector).all()
