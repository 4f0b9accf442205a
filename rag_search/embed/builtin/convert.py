"""Convert once: the weights become an ONNX graph, the vocabulary a piece table, in one folder of the cache.

The folder appears under its final name only when it is complete and on disk; its name contains the fingerprint of
everything it was made from. Two processes may convert at once: the first rename wins, the other discards its own work.
A folder that has lost a file or the end of its table is replaced.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from rag_search.embed.builtin.network import load_network, network_hash
from rag_search.embed.builtin.piece_table import TABLE_BYTES, build_table
from rag_search.embed.builtin.weights import FILE_SHA256, E5File, verify_weights
from rag_search.errors import EngineError

RECIPE = "5 int8, tokens pooled 4:1"  # raise it whenever a change of graph, prefixes or pooling changes a vector
FORM = 2  # raise it when the files change but no vector does: they are made again, and indexes stay valid
GRAPH = "encoder.onnx"
TABLE = "pieces.i32"


@dataclass(frozen=True, slots=True)
class Converted:
    """Files of a finished conversion."""

    folder: Path

    @property
    def graph(self) -> Path:
        """The network."""
        return self.folder / GRAPH

    @property
    def table(self) -> Path:
        """The piece table."""
        return self.folder / TABLE


def fingerprint_of(network: Path) -> str:
    """Hash everything that decides a vector: shipped weights, network file, recipe."""
    return hashlib.sha256("\n".join((FILE_SHA256, network_hash(network), RECIPE)).encode()).hexdigest()


def ensure_converted(cache_dir: Path, weights: Path, network: Path) -> Converted:
    """Return the converted model in `cache_dir`, converted now (about two seconds, 27 MB) if it is missing.

    Raises EngineError.
    """
    converted = Converted(cache_dir / f"builtin-{network.stem}-{fingerprint_of(network)[:16]}-{FORM}")
    folder = converted.folder
    if not _is_whole(converted):
        try:
            _convert(folder, weights, network)
        except OSError as error:
            raise EngineError(
                f"cannot write the converted builtin model to {folder}: {error.strerror or error}.",
                remedy="Free 30 MB there, or choose another cache directory with RAGSEARCH_CACHE_DIR.",
            ) from error
    return converted


def _is_whole(converted: Converted) -> bool:
    """Return whether both files exist and the table is not cut short. Raises EngineError if they cannot be read."""
    try:
        with converted.graph.open("rb"), converted.table.open("rb") as table:
            return os.fstat(table.fileno()).st_size == TABLE_BYTES
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise EngineError(
            f"cannot read the converted builtin model in {converted.folder}: {error.strerror or error}.",
            remedy="Grant read access, or choose another cache directory with RAGSEARCH_CACHE_DIR.",
        ) from error


def _convert(folder: Path, weights: Path, network: Path) -> None:
    """Convert into a temporary folder and publish it as `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    work.mkdir()  # not mkdtemp, whose folder only its owner may enter: a cache can be shared
    try:
        verify_weights(weights)
        file = E5File(weights)
        _write_graph(work / GRAPH, file, network)
        _write_table(work / TABLE, file)
        _publish(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_graph(path: Path, file: E5File, network: Path) -> None:
    """Build and write the network."""
    from rag_search.embed.builtin.onnx_graph import build_graph  # onnx takes 0.2 s to import

    _write(path, build_graph(load_network(file, network), "int8").SerializeToString())


def _write_table(path: Path, file: E5File) -> None:
    """Build and write the piece table."""
    _write(path, build_table(file).tobytes())


def _write(path: Path, data: bytes) -> None:
    """Write a file and flush it to the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _publish(work: Path, folder: Path) -> None:
    """Rename the finished folder `work` to `folder`, replacing a damaged one."""
    _sync_folder(work)
    damaged = work.with_name(f"{work.name}-damaged")
    if folder.is_dir() and not _is_whole(Converted(folder)):
        folder.rename(damaged)  # processes that have opened its files keep them
    try:
        work.rename(folder)
    except OSError:
        if not folder.is_dir():  # else another process has published the same content
            raise
    shutil.rmtree(damaged, ignore_errors=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Flush a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
