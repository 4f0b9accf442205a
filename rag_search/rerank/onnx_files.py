"""Find the parts of an ONNX cross-encoder in a folder, and read its limits from its settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_search.errors import EngineError

GRAPHS = (  # the order of preference where a folder has several
    "onnx/model_quantized.onnx",
    "onnx/model_int8.onnx",
    "model_quantized.onnx",
    "model_int8.onnx",
    "onnx/model.onnx",
    "model.onnx",
)
SETTINGS = ("config.json", "tokenizer_config.json")
TOKENIZER = "tokenizer.json"
DEFAULT_LENGTH = 512  # tokens of a pair where the settings name no limit
_FAR = 10**6  # a limit that means none: transformers writes 10^30
_OFFSET = ("roberta", "camembert", "mpnet", "longformer")  # their positions begin after the id of the padding


@dataclass(frozen=True, slots=True)
class OnnxFiles:
    """The files of a model. longest: tokens that its table of positions has. labels: scores a pair, None if unknown."""

    graph: Path
    tokenizer: Path
    longest: int
    labels: int | None = None


def find_files(place: Path, *, graph: str | None = None) -> OnnxFiles:
    """Return the files of the model at `place`, a folder or an .onnx file.

    graph: name of the network in the folder; None: the first of GRAPHS, else the only one. Raises EngineError.
    """
    network = place if place.suffix == ".onnx" else _graph_in(place, graph)
    if not network.is_file():
        raise EngineError(f"{network} does not exist.", remedy="Set reranker.model to a folder with an ONNX model.")
    folders = [network.parent, network.parent.parent] if network.parent.name == "onnx" else [network.parent]
    tokenizer = next((path for folder in folders if (path := folder / TOKENIZER).is_file()), None)
    if tokenizer is None:
        raise EngineError(
            f"{network.parent} has no {TOKENIZER}, without which a text cannot become the model's tokens.",
            remedy=f"Save the {TOKENIZER} of the model beside it.",
        )
    config, settings = (_read(tokenizer.with_name(name)) for name in SETTINGS)
    return OnnxFiles(network, tokenizer, _longest(config, settings), _labels(config))


def _graph_in(folder: Path, graph: str | None) -> Path:
    """Return the network of a folder. Raises EngineError."""
    if graph is not None:
        return folder / graph
    known = next((path for name in GRAPHS if (path := folder / name).is_file()), None)
    others = [*folder.glob("*.onnx"), *folder.glob("onnx/*.onnx")]
    if known or len(others) == 1:
        return known or others[0]
    what = f"{len(others)} ONNX models" if others else "no ONNX model"
    raise EngineError(f"{folder} has {what}.", remedy="Set reranker.model to the path of one .onnx file.")


def _longest(config: dict[str, Any], settings: dict[str, Any]) -> int:
    """Return the tokens of a text that the model can read, by the smallest of its limits."""
    positions = config.get("max_position_embeddings")
    if type(positions) is int and any(name in str(config.get("model_type")) for name in _OFFSET):
        padding = config.get("pad_token_id")
        positions -= (padding if type(padding) is int else 1) + 1
    limits = (positions, settings.get("model_max_length"))
    return min((limit for limit in limits if type(limit) is int and 0 < limit < _FAR), default=DEFAULT_LENGTH)


def _labels(config: dict[str, Any]) -> int | None:
    """Return the number of labels that the settings name."""
    names = config.get("id2label")
    return len(names) if isinstance(names, dict) and names else None


def _read(path: Path) -> dict[str, Any]:
    """Read a file of settings; empty if there is none. Raises EngineError."""
    try:
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{path} cannot be read: {error}.", remedy="Get the model again.") from error
    return settings if isinstance(settings, dict) else {}
