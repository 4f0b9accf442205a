"""What a peer's process is given and gives back. It runs in the peer's own environment: standard library only here."""

from __future__ import annotations

import json
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
    """documents: id -> text. markdown: they are whole files and are cut as the tool does by default. model: folder of
    a sentence-transformers model that the tool loads itself; None: vectors come from `address`. folder: the index."""

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
        """After `prepare`: make the index of `job.documents` and leave it in `job.folder`."""

    def open(self, job: Job) -> None:
        """Be ready to search the index in `job.folder`."""

    def search(self, question: str) -> list[str]:
        """Ids of documents, best piece first; repeats are allowed."""


Variants = Mapping[str, Callable[[], Peer]]


def shared_vectors(address: str) -> Callable[[Sequence[str]], np.ndarray]:
    """texts (prefix included) -> unit rows float32 (n, 384), from the benchmark's process."""
    connection = Client(address, "AF_UNIX", authkey=AUTHKEY)

    def embed(texts: Sequence[str]) -> np.ndarray:
        connection.send(list(texts))
        rows: np.ndarray = connection.recv()
        return rows

    return embed


def read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")


def documents_of(pieces: Sequence[str]) -> list[str]:
    """The documents of ranked pieces, each once, where its best piece stands."""
    return list(dict.fromkeys(pieces))
