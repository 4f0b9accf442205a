"""Finding a running `ragsearch serve` and asking it, without loading an engine.

A server leaves a file `servers/<hash of the index folder>.json` in the cache folder. A query that finds one sends it
the version, the index and a hash of the settings that it expects; a server of another kind refuses with 409.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rag_search
from rag_search.config import Config
from rag_search.errors import InputError, ServerError
from rag_search.records import SearchOptions, SearchResult
from rag_search.wire import pack_options, unpack_result

EXPECT_HEADER = "x-ragsearch-expect"
_CONNECT_TIMEOUT_S = 2.0
_FIELDS_OF_A_QUERY = {"top_k", "candidates", "min_score"}  # travel with each query


class OtherServerError(ServerError):
    """A server runs, but of another version, index or settings, or without room: answer in this process."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a server says of itself. settings_hash: see `settings_hash`."""

    url: str
    pid: int
    version: str
    index_dir: str
    settings_hash: str

    @property
    def expectation(self) -> str:
        """What a client demands of the server that answers it."""
        return _digest([self.version, self.index_dir, self.settings_hash])


def settings_hash(config: Config) -> str:
    """Hash of the settings that change an answer; keys and limits do not."""
    settings = config.settings
    parts = [settings.profile, settings.embedder.model_dump(exclude={"api_key"}, mode="json")]
    parts.append(settings.reranker.model_dump(exclude={"api_key"}, mode="json"))
    parts.append(settings.search.model_dump(exclude=_FIELDS_OF_A_QUERY, mode="json"))
    return _digest(parts)


def announcement(config: Config, url: str) -> Announcement:
    """What a server at `url` with these settings announces, and what a client with them expects."""
    return Announcement(
        url, os.getpid(), rag_search.__version__, str(config.index_dir.resolve()), settings_hash(config)
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
    """The announced server of this index, running or not."""
    try:
        return Announcement(**json.loads(announcement_file(config).read_text("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(f"{announcement_file(config)} cannot be read: {error}.", remedy="Remove it.") from error


def ask_server(
    config: Config, questions: Sequence[str], options: SearchOptions
) -> tuple[list[SearchResult], Announcement] | None:
    """Results of a running server of this index, None when there is none.

    Raises InputError as a search in this process does, OtherServerError when the server is not ours to use,
    ServerError when it failed.
    """
    server = find_server(config)
    if server is None:
        return None
    ours = announcement(config, server.url)
    body = {"queries": list(questions), "options": pack_options(options)}
    try:
        status, reply = _post(config, server, body, expectation=ours.expectation)
    except ConnectionRefusedError:
        announcement_file(config).unlink(missing_ok=True)  # it was killed and could not clean up
        return None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise OtherServerError(f"the server at {server.url} did not answer: {error}.") from error
    if status == 200:
        return [unpack_result(result) for result in reply["results"]], server
    raise _failure(status, reply, server)


def _failure(status: int, reply: Mapping[str, Any], server: Announcement) -> Exception:
    error = reply.get("error")
    error = error if isinstance(error, dict) else {}
    message, remedy = str(error.get("message", f"status {status}")), str(error.get("remedy", ""))
    if status == 400:
        return InputError(message, remedy=remedy)
    if status in (401, 404, 408, 409, 413, 421, 429, 503):
        return OtherServerError(f"the server at {server.url} was not used: {message}")
    return ServerError(f"the server at {server.url} failed: {message}", remedy="Try: ragsearch query --no-server")


def _post(
    config: Config, server: Announcement, body: Mapping[str, Any], *, expectation: str
) -> tuple[int, dict[str, Any]]:
    address = urlsplit(server.url)
    headers = {"content-type": "application/json", EXPECT_HEADER: expectation}
    if config.settings.server.api_key:
        headers["authorization"] = f"Bearer {config.settings.server.api_key.get_secret_value()}"
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=_CONNECT_TIMEOUT_S)
    try:
        connection.connect()
        connection.sock.settimeout(config.settings.server.queue_timeout_s * 2)
        connection.request("POST", "/v1/ragsearch/query", json.dumps(body).encode(), headers)
        response = connection.getresponse()
        reply = json.loads(response.read())
        if not isinstance(reply, dict):
            raise http.client.HTTPException("the reply is no JSON object")
        return response.status, reply
    finally:
        connection.close()


def _digest(parts: Sequence[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
