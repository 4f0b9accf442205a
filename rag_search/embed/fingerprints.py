"""Tell two models apart by their files."""

from __future__ import annotations

import hashlib
from pathlib import Path

_HEAD_BYTES = 2**20  # of each file: of weights the header and the first rows
_SUFFIXES = (".json", ".safetensors", ".bin")


def files_id(model: str) -> str:
    """Hash settings, tokenizer, and head and size of each weight file of a folder; return any other name itself."""
    folder = Path(model)
    if not folder.is_dir():
        return model
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _SUFFIXES and path.is_file():
            with path.open("rb") as file:
                digest.update(f"{path.relative_to(folder)} {path.stat().st_size}".encode() + file.read(_HEAD_BYTES))
    return digest.hexdigest()


def file_id(path: Path) -> str:
    """Hash head and size of a file."""
    with path.open("rb") as file:
        return hashlib.sha256(f"{path.stat().st_size}".encode() + file.read(_HEAD_BYTES)).hexdigest()
