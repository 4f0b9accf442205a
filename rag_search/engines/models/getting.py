"""Get a model into the cache of this program, and check one that is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rag_search.engines.models.hub import Hub, HubFile, HubModel, sha256_of
from rag_search.engines.models.known import KnownModel, known_model
from rag_search.engines.models.local import RECORD, check_name, find_folder, folder_of
from rag_search.errors import EngineError
from rag_search.rerank.onnx_files import GRAPHS
from rag_search.runtime.files import write_atomically
from rag_search.runtime.foreign_json import parse_json

SMALL = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file of a model that is not as it was got."""

    path: str
    detail: str


def get_model(
    name: str,
    cache_dir: Path,
    *,
    revision: str | None = None,
    graph: str | None = None,
    offline: bool = False,
    on_bytes: Callable[[str, int, int], None] = lambda *_: None,
) -> Path:
    """Fetch settings, tokenizer and one network of a model, unless they are here; return their folder.

    revision: a commit, tag or branch; None: the one of the table, else main. graph: the network; None: that of the
    table, else the first of GRAPHS. offline: fetch nothing. on_bytes: called with path, bytes here, and size.
    Raises EngineError, ConfigError.
    """
    check_name(name)
    known = known_model(name)
    name = known.name if known else name
    here = find_folder(name, cache_dir)
    if here is not None and revision is None and graph is None:
        return here
    if offline:
        raise EngineError(f"{name} is not on this machine.", remedy="Run it without --offline.")
    with Hub() as hub:
        model = hub.look_up(name, revision or (known.revision if known else "") or "main")
        files = _wanted(model, graph or (known.graph if known and revision is None else "") or None)
        _check_pins(known, files, model)
        sizes = {file.path: file.bytes for file in files}
        folder = folder_of(name, cache_dir) / model.revision
        hub.fetch(model, files, folder, on_bytes=lambda path, done: on_bytes(path, done, sizes[path]))
    digests = {file.path: {"bytes": file.bytes, "sha256": sha256_of(folder / file.path)} for file in files}
    record = {"name": name, "revision": model.revision, "endpoint": hub.endpoint, "files": digests}
    write_atomically(folder / RECORD, json.dumps(record, indent=2).encode())
    return folder


def check_files(folder: Path) -> list[Problem]:
    """Compare the files of a folder of our cache with what was recorded; an empty list if all are sound."""
    record = read_record(folder)
    if not record:
        raise EngineError(f"{folder} was not made by `ragsearch models get`.", remedy="Run: ragsearch models get")
    return [problem for path, wanted in record.items() if (problem := _problem(folder, path, wanted))]


def read_record(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each file that was got into a folder; empty if nothing is recorded."""
    try:
        files = parse_json((folder / RECORD).read_bytes())["files"]
        return {str(path): str(row["sha256"]) for path, row in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _problem(folder: Path, path: str, wanted: str) -> Problem | None:
    """Return what is wrong with one file; None if nothing is."""
    try:
        found = sha256_of(folder / path)
    except OSError as error:
        return Problem(path, f"it cannot be read: {error.strerror}")
    return None if found == wanted else Problem(path, "its content has changed")


def _wanted(model: HubModel, graph: str | None) -> list[HubFile]:
    """Return the files to fetch, the small ones first. Raises EngineError if the model has no such network."""
    networks = [path for path in model.files if path.endswith(".onnx")]
    chosen = graph or next((path for path in GRAPHS if path in networks), networks[0] if len(networks) == 1 else None)
    if chosen not in networks:
        listed = f"it has {', '.join(sorted(networks)[:20])}" if networks else "it has none"
        wanted = f"no network {chosen}" if chosen else "no network that is clearly the one"
        raise EngineError(f"{model.name} has {wanted}: {listed}.", remedy="Name one with --file.")
    data = [path for path in model.files if path.startswith((f"{chosen}_data", f"{chosen}.data"))]
    files = [model.files[path] for path in (*SMALL, *data, chosen) if path in model.files]
    if "tokenizer.json" not in model.files:
        raise EngineError(f"{model.name} has no tokenizer.json.", remedy="Choose a model that has one.")
    return files


def _check_pins(known: KnownModel | None, files: list[HubFile], model: HubModel) -> None:
    """Raise EngineError if the revision of the table has other files on the hub than those that were looked at."""
    if known is None or not known.revision or not model.revision.startswith(known.revision):
        return
    for file in files:
        pin = known.pins.get(file.path)
        if pin and ((pin.bytes or file.bytes) != file.bytes or not (file.sha256 or pin.sha256).startswith(pin.sha256)):
            raise EngineError(
                f"{file.path} of {model.name} is not the file that revision {known.revision[:8]} had.",
                remedy="The hub or mirror has changed it: do not use it.",
            )
