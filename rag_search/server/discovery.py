"""How a running `ragsearch serve` is found: a file `servers/<hash of the index folder>.json` in the cache folder.

It names the address and the process, and the version, the index and the settings that the server answers with.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import rag_search
from rag_search.config import Config, flatten_settings
from rag_search.errors import ServerError
from rag_search.runtime.processes import hostname, process_start


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a server says of itself. settings_hash: see `settings_hash`. host, born: of its process, see
    rag_search.runtime.processes; "" in what an older version announced."""

    url: str
    pid: int
    version: str
    index_dir: str
    settings_hash: str
    host: str = ""
    born: str = ""

    @property
    def expectation(self) -> str:
        """What a client demands of the server that answers it."""
        return _digest([self.version, self.index_dir, self.settings_hash])


def settings_hash(config: Config) -> str:
    """Hash of the settings that change an answer: those of the engines without keys; a query brings its own numbers."""
    chosen = {key: str(value) for key, value in flatten_settings(config.settings) if not key.endswith(".api_key")}
    return _digest([(key, chosen[key]) for key in chosen if key.startswith(("profile", "embedder.", "reranker."))])


def announcement(config: Config, url: str) -> Announcement:
    """What a server at `url` with these settings announces, and what a client with them expects."""
    pid, index_dir = os.getpid(), str(config.index_dir.resolve())
    return Announcement(
        url, pid, rag_search.__version__, index_dir, settings_hash(config), hostname(), process_start(pid)
    )


def announcement_file(config: Config) -> Path:
    """Where the server of this index announces itself."""
    name = _digest([str(config.index_dir.resolve())])[:16]
    return config.settings.cache_dir / "servers" / f"{name}.json"


@contextmanager
def announced(config: Config, url: str) -> Iterator[Announcement]:
    """Announce the server while the block runs; the file is the owner's alone, and another server's is left alone."""
    file, said = announcement_file(config), announcement(config, url)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(asdict(said), stream)
    temporary.replace(file)
    try:
        yield said
    finally:
        if find_server(config) == said:
            file.unlink(missing_ok=True)


def find_server(config: Config) -> Announcement | None:
    """The announced server of this index, if its process still runs on this machine.

    What another process left is removed: who has the port by now must get neither the key nor the question.
    """
    file = announcement_file(config)
    try:
        found = Announcement(**json.loads(file.read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(f"{file} cannot be read: {error}.", remedy="Remove it.") from error
    if found.host != hostname():  # a cache folder that several machines share
        return None
    if not found.born or process_start(found.pid) != found.born:
        file.unlink(missing_ok=True)
        return None
    return found


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
