"""Define input and output of a peer's process. It runs in the peer's environment: standard library only."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Client
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

AUTHKEY = b"shared vectors"
DEPTH = 100  # pieces asked for, so that 50 documents are left of them
QUERY, PASSAGE = "query: ", "passage: "  # what multilingual-e5-small wants in front


@dataclass(frozen=True)
class Job:
    """What a peer is to index.

    Attributes:
        documents: id -> text.
        markdown: documents are whole files, cut as the tool does by default.
        model: folder of a sentence-transformers model that the tool loads itself; None: vectors come from `address`.
        folder: place of the index.
    """

    documents: Mapping[str, str]
    markdown: bool
    folder: Path
    address: str | None
    model: str | None


class Peer(Protocol):
    """One way of using a tool."""

    def prepare(self, job: Job) -> None:
        """Load the model; a timed ingest begins after it."""

    def build(self, job: Job) -> None:
        """Index `job.documents` in `job.folder`; called after `prepare`."""

    def open(self, job: Job) -> None:
        """Open the index in `job.folder` for search."""

    def search(self, question: str) -> list[str]:
        """Return ids of documents, best piece first; repeats are allowed."""


def resident_mb() -> float:
    """Return the memory that this process holds now, mapped files with it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


Variants = Mapping[str, Callable[[], Peer]]


def shared_vectors(address: str) -> Callable[[Sequence[str]], np.ndarray]:
    """Map texts (prefix included) to unit rows float32 (n, 384), by asking the benchmark's process."""
    connection = Client(address, "AF_UNIX", authkey=AUTHKEY)

    def embed(texts: Sequence[str]) -> np.ndarray:
        connection.send(list(texts))
        rows: np.ndarray = connection.recv()
        return rows

    return embed


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def documents_of(pieces: Sequence[str]) -> list[str]:
    """Return the documents of ranked pieces, each once, at its best piece."""
    return list(dict.fromkeys(pieces))
