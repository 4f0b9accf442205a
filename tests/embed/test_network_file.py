"""A network from a file: by path, by the name in its metadata, and one clear error for anything else."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rag_search.embed.builtin.network import load_network, network_name, network_path
from rag_search.embed.builtin.weights import E5File
from rag_search.errors import ConfigError, EngineError


def _written(path: Path, **changes: object) -> Path:
    """Write the packaged network with some arrays changed; None leaves one out."""
    with np.load(network_path("docs-e5-2")) as stored:
        arrays = {name: stored[name] for name in stored.files} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_path_loads_what_the_name_loads(tmp_path: Path, e5_file: E5File) -> None:
    copy = _written(tmp_path / "mine.npz", metadata=np.array(json.dumps({"name": "docs-e5"})))
    assert network_path(str(copy)) == copy
    assert network_name(copy) == "docs-e5"
    ours, packaged = load_network(e5_file, copy), load_network(e5_file, network_path("docs-e5-2"))
    assert np.array_equal(ours.tensors["l3.fi.w"], packaged.tensors["l3.fi.w"])
    assert np.array_equal(ours.projection, packaged.projection)


def test_file_without_metadata_is_named_by_its_file(tmp_path: Path) -> None:
    assert network_name(_written(tmp_path / "mine.npz", metadata=None)) == "mine"
    assert network_name(network_path("zero-shot")) == "zero-shot"


def test_unknown_model_is_named_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown builtin model 'docs-e9'") as caught:
        network_path("docs-e9")
    assert "docs-e5-2, zero-shot, or a path to an .npz file" in str(caught.value.remedy)
    with pytest.raises(EngineError, match=r"none\.npz is missing"):
        network_path(str(tmp_path / "none.npz"))


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": None},
        {"projection": np.zeros((384, 7), np.float32)},
        {"l0.q.w": np.zeros((3, 3), np.int8), "l0.q.w.scale": np.ones(3, np.float32)},
        {"l0.aln.w": np.array(["a"] * 384)},
    ],
    ids=["no mean", "narrow projection", "small matrix", "text for numbers"],
)
def test_wrong_arrays_are_one_error(tmp_path: Path, e5_file: E5File, changes: dict[str, object]) -> None:
    with pytest.raises(EngineError, match=r"mine\.npz is damaged"):
        load_network(e5_file, _written(tmp_path / "mine.npz", **changes))


def test_bytes_of_another_kind_are_one_error(tmp_path: Path, e5_file: E5File) -> None:
    text, bomb = tmp_path / "text.npz", tmp_path / "bomb.npz"
    text.write_text("not an archive")
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mean.npy", b"\0" * 250_000_000)
    for path in (text, bomb):
        with pytest.raises(EngineError, match="is damaged"):
            load_network(e5_file, path)
    with pytest.raises(EngineError, match="is damaged"):
        network_name(text)
