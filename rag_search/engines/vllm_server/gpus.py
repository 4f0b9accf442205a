"""Read the NVIDIA cards of this machine, and divide one between two models.

`--gpu-memory-utilization` is a share of the whole card for each server, and the sum of `needed_gb` must fit into it.
Estimates, to be confirmed by a run on each card.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from rag_search.errors import ConfigError, EngineError

# oldest driver for each CUDA (NVIDIA's release notes; its minor versions need no newer one)
_OLDEST_DRIVER = {12: 525, 13: 580}
_CUDA_PACKAGES = ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12")  # of torch, of faiss-gpu
Size = Literal["0.6B", "4B", "8B"]
MAX_MODEL_LEN = 8192
ALONE = 0.9  # share of a model that has a card for itself


@dataclass(frozen=True, slots=True)
class Card:
    """One card. memory_gb: all of it, in GiB. driver: its version."""

    index: int
    name: str
    memory_gb: float
    driver: str


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of a card for embedder and reranker, in (0, 1), and tokens computed in one step."""

    embedder: float
    reranker: float
    batched_tokens: int


_PARAMETERS: dict[Size, float] = {
    "0.6B": 0.60e9,
    "4B": 4.02e9,
    "8B": 8.19e9,
}  # the reranker's; the embedder has no more
_LAYERS: dict[Size, int] = {"0.6B": 28, "4B": 36, "8B": 36}
_CACHE_BYTES = 2 * 8 * 128 * 2  # of one token in one layer: key and value, 8 heads, 128 numbers, bfloat16
_OVERHEAD_GB = 1.0  # CUDA context, graphs and activations: assumed

# size -> (smallest card in GiB, shares), largest card first; a card of 24 GB reports 23.5 to 24
_TABLE: dict[Size, tuple[tuple[float, Shares], ...]] = {
    "0.6B": (
        (75, Shares(0.15, 0.25, 8192)),
        (22, Shares(0.30, 0.40, 4096)),
        (7.5, Shares(0.42, 0.48, 2048)),
    ),
    "4B": (
        (130, Shares(0.30, 0.50, 16384)),
        (75, Shares(0.40, 0.50, 8192)),
        (38, Shares(0.40, 0.50, 4096)),
        (22, Shares(0.45, 0.45, 2048)),
    ),
    "8B": (
        (130, Shares(0.35, 0.50, 16384)),
        (75, Shares(0.40, 0.50, 8192)),
        (38, Shares(0.45, 0.47, 2048)),
    ),
}


def find_cards() -> list[Card]:
    """Return the cards that nvidia-smi reports, none without it. Raises EngineError for a broken driver."""
    fields = "index,name,memory.total,driver_version"
    try:
        done = subprocess.run(
            ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError):  # PermissionError: of a folder in PATH that cannot be read
        return []
    except (subprocess.SubprocessError, OSError) as error:
        raise EngineError(
            f"nvidia-smi fails: {error}.", remedy="Install or restart the NVIDIA driver, then run: nvidia-smi"
        ) from error
    return parse_cards(done.stdout)


def parse_cards(text: str) -> list[Card]:
    """Parse the lines of nvidia-smi (memory in MiB).

    Raises EngineError for a line without the memory: cards that share it with the processor report `[N/A]`.
    """
    return [_card(line) for line in text.split("\n") if line.strip()]


def _card(line: str) -> Card:
    """Parse one line. Raises EngineError."""
    try:
        index, name, memory, driver = (cell.strip() for cell in line.split(","))
        return Card(int(index), name, float(memory) / 1024, driver)
    except ValueError as error:
        raise EngineError(
            f"nvidia-smi does not report the memory of the card: {line.strip()!r}.",
            remedy="Start both servers yourself, with shares of memory that fit; all other flags are those of: "
            "ragsearch up --cpu --dry-run",
        ) from error


def installed_cuda() -> dict[str, str]:
    """Return the packages that bring a CUDA runtime, with its version."""
    versions = {}
    for package in _CUDA_PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    return versions


def driver_too_old(driver: str, cuda: str) -> int | None:
    """Return the oldest driver for this CUDA if `driver` is older; None if it is not, or CUDA is unknown."""
    oldest = _OLDEST_DRIVER.get(int(cuda.split(".")[0]))
    return oldest if oldest is not None and int(driver.split(".")[0]) < oldest else None


def needed_gb(size: Size, tokens: int = MAX_MODEL_LEN) -> float:
    """Return GiB for one server: bfloat16 weights, the cache of one text of `tokens`, and the process itself."""
    return (_PARAMETERS[size] * 2 + tokens * _LAYERS[size] * _CACHE_BYTES) / 2**30 + _OVERHEAD_GB


def shares_for(size: Size, cards: Sequence[Card]) -> Shares:
    """Divide the first card between both models, or use one card each. Raises ConfigError if they do not fit."""
    memory = min(card.memory_gb for card in cards[:2])
    fits = [shares for least, shares in _TABLE[size] if memory >= least]
    if len(cards) > 1 and ALONE * memory >= needed_gb(size):
        return Shares(ALONE, ALONE, fits[0].batched_tokens if fits else 2048)
    if not fits:
        smaller = [name for name, rows in _TABLE.items() if memory >= rows[-1][0]]
        raise ConfigError(
            f"two {size} models do not fit on {cards[0].name} ({memory:.0f} GB).",
            remedy=f"Use smaller models: ragsearch up --size {smaller[-1]}" if smaller else "Use: --profile builtin",
        )
    return fits[0]
