"""Advertise and find a running `ragsearch serve`.

The file `servers/<hash of the index folder>.json` in the cache folder records the address and the process of the
server, and the version, index and settings that it answers with. Its member `others` holds the records of servers that
were started earlier and still run, such as `serve --daemon` beside `ui`: they are found when the newest has ended.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rag_search
from rag_search.config import Config, flatten_settings
from rag_search.errors import ForeignFileError, ServerError
from rag_search.runtime.files import read_own, write_atomically
from rag_search.runtime.foreign_json import parse_json, read_record
from rag_search.runtime.processes import hostname, process_start


@dataclasses.dataclass(frozen=True, slots=True)
class ServerRecord:
    """Address and identity of a running server, as its file records them.

    settings_hash: see `settings_hash`. hostname, process_start: of its process, see rag_search.runtime.processes.
    """

    url: str
    pid: int
    version: str
    index_dir: str
    settings_hash: str
    hostname: str
    process_start: str

    @property
    def expectation(self) -> str:
        """The hash of version, index and settings that a client sends."""
        return _digest([self.version, self.index_dir, self.settings_hash])


def settings_hash(config: Config) -> str:
    """Return a hash of the engine settings without keys: a query sends the other settings that change an answer."""
    chosen = {key: str(value) for key, value in flatten_settings(config.settings) if not key.endswith(".api_key")}
    return _digest([(key, chosen[key]) for key in chosen if key.startswith(("profile", "embedder.", "reranker."))])


def server_record(config: Config, url: str) -> ServerRecord:
    """Return the record of a server at `url` in this process with these settings."""
    pid, index_dir = os.getpid(), _index_key(config)
    return ServerRecord(
        url, pid, rag_search.__version__, index_dir, settings_hash(config), hostname(), process_start(pid)
    )


def _index_key(config: Config) -> str:
    """Return what tells this index from every other: its folder, or its database and name."""
    return config.index_place if config.settings.store.url else str(config.index_dir.resolve())


def record_path(config: Config) -> Path:
    """Return the path of the file that advertises the server of this index."""
    name = _digest([_index_key(config)])[:16]
    return config.settings.cache_dir / "servers" / f"{name}.json"


@contextmanager
def advertise(config: Config, url: str) -> Iterator[ServerRecord]:
    """Advertise the server while the block runs, in a file that only its user can read."""
    path, record = record_path(config), server_record(config, url)
    try:
        others = _running(path)
    except ServerError:  # a file that cannot be read is replaced
        others = []
    _write(path, [record, *others])
    try:
        yield record
    finally:
        forget(config, record)


def forget(config: Config, record: ServerRecord) -> None:
    """Advertise the server of this record no longer. Others of the same index stay."""
    path = record_path(config)
    running = _running(path)
    if record in running:
        _write(path, [other for other in running if other != record])


def find_server(config: Config) -> ServerRecord | None:
    """Return the record of the newest server of this index, None if none runs on this machine.

    The record of a dead process is deleted: another program may own the port now and must not receive the key or the
    query. A record of another user counts as none. Raises ServerError if the file cannot be read.
    """
    return next(iter(_running(record_path(config))), None)


def _running(path: Path) -> list[ServerRecord]:
    """Return the records of a file, newest first, without those of dead processes, which are deleted."""
    try:
        said = parse_json(read_own(path))
        records = [read_record(ServerRecord, said)]
        records += [read_record(ServerRecord, other) for other in said.get("others", [])]
    except (FileNotFoundError, NotADirectoryError, ForeignFileError, KeyError):  # KeyError: of another version
        return []
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(f"{path} cannot be read: {error}.", remedy="Remove it.") from error
    if records[0].hostname != hostname():  # several machines share the cache folder
        return []
    running = [r for r in records if r.process_start and process_start(r.pid) == r.process_start]
    if running != records:
        _write(path, running)
    return running


def _write(path: Path, records: Sequence[ServerRecord]) -> None:
    if not records:
        path.unlink(missing_ok=True)
        return
    newest, *others = map(dataclasses.asdict, records)
    write_atomically(path, json.dumps({**newest, "others": others}).encode(), mode=0o600)


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
