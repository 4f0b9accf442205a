"""Convert once: the weights become an ONNX graph, the vocabulary a piece table, in one folder of the cache.

The folder appears under its final name only when it is complete and on disk; its name contains the fingerprint of
everything it was made from. Two processes may convert at once: the first rename wins, the other discards its own work.
A folder with a missing
or damaged file is replaced: `sha256.json` has the digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rag_search.embed.builtin.network import load_network, network_hash
from rag_search.embed.builtin.piece_table import TABLE_BYTES, build_table
from rag_search.embed.builtin.weights import FILE_SHA256, E5File, verify_weights
from rag_search.errors import EngineError
from rag_search.runtime.files import require_own

RECIPE = "6 int8, tokens pooled 3:1"  # raise it whenever a change of graph, prefixes or pooling changes a vector
FORM = 4  # raise it when the files change but no vector does: they are made again, and indexes stay valid
GRAPH = "encoder.onnx"
DATA = "encoder.bin"  # its weights, which ONNX Runtime maps instead of copying them
TABLE = "pieces.i32"
DIGESTS = "sha256.json"


@dataclass(frozen=True, slots=True)
class Converted:
    """Files of a finished conversion."""

    folder: Path

    @property
    def graph(self) -> Path:
        """The network."""
        return self.folder / GRAPH

    @property
    def data(self) -> Path:
        """The weights of the network."""
        return self.folder / DATA

    @property
    def table(self) -> Path:
        """The piece table."""
        return self.folder / TABLE

    @property
    def digests(self) -> Path:
        """The SHA-256 of the other files."""
        return self.folder / DIGESTS


def fingerprint_of(network: Path) -> str:
    """Hash everything that decides a vector: shipped weights, network file, recipe."""
    return hashlib.sha256("\n".join((FILE_SHA256, network_hash(network), RECIPE)).encode()).hexdigest()


def ensure_converted(cache_dir: Path, weights: Path, network: Path) -> Converted:
    """Return the converted model in `cache_dir`, converted now (about two seconds, 27 MB) if it is missing.

    Raises EngineError.
    """
    converted = Converted(cache_dir / f"builtin-{network.stem}-{fingerprint_of(network)[:16]}-{FORM}")
    folder = converted.folder
    if not _is_sound(converted):
        try:
            _convert(folder, weights, network)
        except OSError as error:
            raise EngineError(
                f"cannot write the converted builtin model to {folder}: {error.strerror or error}.",
                remedy="Free 30 MB there, or choose another cache directory with RAGSEARCH_CACHE_DIR.",
            ) from error
    return converted


def verify_converted(converted: Converted) -> None:
    """Compare every file with the SHA-256 noted when it was written (about 0.1 s). Raises EngineError."""
    try:
        damaged = _damaged_file(converted)
    except OSError as error:
        raise _unreadable(converted, error) from error
    if damaged:
        raise EngineError(f"{converted.folder / damaged} is damaged.", remedy=f"Remove {converted.folder}.")


def _is_sound(converted: Converted) -> bool:
    """Return whether all files exist and are as they were written. Raises EngineError if they cannot be read.

    Files that have not changed since their digests were noted or last compared are not read again.
    """
    try:
        with (
            converted.graph.open("rb") as graph,
            converted.data.open("rb") as data,
            converted.table.open("rb") as table,
        ):
            found = [os.fstat(file.fileno()) for file in (graph, data, table)]
            noted = converted.digests.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise _unreadable(converted, error) from error
    require_own(converted.folder, *found, noted, converted.folder.stat())
    if found[2].st_size != TABLE_BYTES:
        return False
    if max(file.st_ctime_ns for file in found) < noted.st_ctime_ns:  # clocks of file systems tick slowly: not <=
        return True
    if _damaged_file(converted):
        return False
    with suppress(OSError):  # a cache of another user: compared again next time
        os.utime(converted.digests)
    return True


def _damaged_file(converted: Converted) -> str | None:
    """Return the name of a file whose SHA-256 is not the one noted; None if all are right."""
    try:
        noted = json.loads(converted.digests.read_text("utf-8"))
        expected = {name: str(noted[name]) for name in (GRAPH, DATA, TABLE)}
    except (ValueError, KeyError, TypeError, RecursionError):
        return DIGESTS
    return next((name for name, digest in expected.items() if _digest(converted.folder / name) != digest), None)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(converted: Converted, error: OSError) -> EngineError:
    """Return the error for files that cannot be read."""
    return EngineError(
        f"cannot read the converted builtin model in {converted.folder}: {error.strerror or error}.",
        remedy="Grant read access, or choose another cache directory with RAGSEARCH_CACHE_DIR.",
    )


def _convert(folder: Path, weights: Path, network: Path) -> None:
    """Convert into a temporary folder and publish it as `folder`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    work.mkdir()  # not mkdtemp, whose folder only its owner may enter: a cache can be shared
    try:
        verify_weights(weights)
        file = E5File(weights)
        _write_graph(work, file, network)
        _write_table(work / TABLE, file)
        digests = {name: _digest(work / name) for name in (GRAPH, DATA, TABLE)}
        _write(work / DIGESTS, json.dumps(digests).encode())  # the last file: the others are older
        _publish(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_graph(work: Path, file: E5File, network: Path) -> None:
    """Build and write the network and its weights."""
    from rag_search.embed.builtin.onnx_graph import build_graph, move_weights  # onnx takes 0.2 s to import

    graph = build_graph(load_network(file, network), "int8")
    _write(work / DATA, move_weights(graph, DATA))
    _write(work / GRAPH, graph.SerializeToString())


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
    if folder.is_dir() and not _is_sound(Converted(folder)):
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
