"""Find a model on this machine: a folder, a file, our cache, or the cache of huggingface_hub. Nothing is fetched."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rag_search.engines.models.known import KnownModel, known_model
from rag_search.errors import ConfigError, EngineError
from rag_search.rerank.onnx_files import OnnxFiles, find_files
from rag_search.runtime.files import require_own

RECORD = "ragsearch-model.json"  # in a folder of our cache: revision, and size and SHA-256 of each file
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A cross-encoder that can be loaded. longest: tokens of a pair that it was trained with; None: all it can read."""

    name: str
    files: OnnxFiles
    longest: int | None = None


def is_place(model: str) -> bool:
    """Return whether a model is named by a path; a hub name never means a folder that happens to have that name."""
    return model.startswith((".", "/", "~", "\\")) or Path(model).is_absolute()


def find_model(model: str, cache_dir: Path) -> FoundModel:
    """Return the cross-encoder that `reranker.model` names. Raises EngineError with the command that gets it."""
    known = known_model(model)
    if known is not None and known.kind != "reranker":
        raise EngineError(f"{known.name} is an embedding model.", remedy="Set reranker.model to a cross-encoder.")
    place = Path(model).expanduser() if is_place(model) else find_folder(model, cache_dir)
    if place is None:
        raise EngineError(f"the model {model!r} is not on this machine.", remedy=f"Run: ragsearch models get {model}")
    graph = known.graph if known and known.graph else None
    return FoundModel(known.name if known else model, find_files(place, graph=graph), known.longest if known else None)


def find_folder(name: str, cache_dir: Path) -> Path | None:
    """Return the folder with the files of a hub's model; None if it is not here.

    Raises ForeignFileError for a folder of our cache in which another user can choose a file.
    """
    check_name(name)
    known = known_model(name)
    folder = next((folder for folder in _folders(known.name if known else name, known, cache_dir)), None)
    if folder is not None and folder.is_relative_to(cache_dir):
        require_own(folder, *(path.stat() for path in (folder.parent, folder, *folder.rglob("*"))))
    return folder


def check_name(name: str) -> None:
    """Raise ConfigError unless a name is that of a hub's model, OWNER/NAME."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise ConfigError(
            f"{name!r} is not the name of a model.", remedy="Write OWNER/NAME, or a path that begins with ./ or /."
        )


def folder_of(name: str, cache_dir: Path) -> Path:
    """Return the folder of our cache for a model; a folder below it holds each revision."""
    return cache_dir / "models" / name.replace("/", "--")


def _folders(name: str, known: KnownModel | None, cache_dir: Path) -> Iterator[Path]:
    """Yield the folders that have the model, the best one first: ours, then those of huggingface_hub."""
    ours = [record.parent for record in folder_of(name, cache_dir).glob(f"*/{RECORD}")]
    hub = _hub_cache() / f"models--{name.replace('/', '--')}"
    theirs = [path for path in hub.glob("snapshots/*") if next(path.glob("tokenizer.json"), None)]
    for folders in (ours, theirs):
        newest = sorted(folders, key=lambda folder: folder.stat().st_mtime, reverse=True)
        revision = known.revision if known else ""
        yield from sorted(newest, key=lambda folder: not (revision and folder.name.startswith(revision)))


def _hub_cache() -> Path:
    """Return the cache folder of huggingface_hub, by the variables that it reads."""
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("HF_HOME") or cache / "huggingface") / "hub"
