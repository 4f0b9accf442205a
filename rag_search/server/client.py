"""Asking a running `ragsearch serve`, without loading an engine.

A query sends the version, the index and a hash of the settings that it expects; a server of another kind refuses with
409.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from rag_search.config import Config
from rag_search.errors import InputError, ServerError
from rag_search.records import SearchOptions, SearchResult
from rag_search.server.codec import pack_options, unpack_result
from rag_search.server.discovery import Announcement, announcement, announcement_file, find_server

EXPECT_HEADER = "x-ragsearch-expect"
PER_REQUEST = 256  # questions: few enough to be answered before anybody loses patience
_CONNECT_TIMEOUT_S = 2.0


class OtherServerError(ServerError):
    """A server runs, but of another version, index or settings, or without room: answer in this process."""


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
    results: list[SearchResult] = []
    for first in range(0, len(questions), PER_REQUEST):
        answered = _ask(config, server, questions[first : first + PER_REQUEST], options)
        if answered is None:
            return None
        results += answered
    return results, server


def _ask(
    config: Config, server: Announcement, questions: Sequence[str], options: SearchOptions
) -> list[SearchResult] | None:
    """Results of some questions, None when nobody listens any more."""
    body = {"queries": list(questions), "options": pack_options(options)}
    try:
        status, reply = _post(config, server, body, expectation=announcement(config, server.url).expectation)
    except ConnectionRefusedError:
        if find_server(config) == server:
            announcement_file(config).unlink(missing_ok=True)  # it was killed and could not clean up
        return None
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = type(error).__name__ if isinstance(error, ValueError) else error  # a ValueError may quote the key
        raise OtherServerError(f"the server at {server.url} did not answer: {said}.") from error
    packed = reply.get("results")
    if status == 200 and isinstance(packed, list) and len(packed) == len(questions):
        return _unpack(packed, server)
    raise _failure(status, reply, server)


def _unpack(packed: Sequence[Mapping[str, Any]], server: Announcement) -> list[SearchResult]:
    try:
        return [unpack_result(result) for result in packed]
    except ServerError as error:  # another program has the port now
        raise OtherServerError(f"the server at {server.url} was not used: {error.message}") from error


def _failure(status: int, reply: Mapping[str, Any], server: Announcement) -> Exception:
    error = reply.get("error")
    error = error if isinstance(error, dict) else {}
    message, remedy = str(error.get("message", f"status {status}")), str(error.get("remedy", ""))
    if status == 400 and error:
        return InputError(message, remedy=remedy)
    if status not in (500, 502):  # another kind of server, no room there, or limits that this process does not have
        return OtherServerError(f"the server at {server.url} was not used: {message}")
    return ServerError(f"the server at {server.url} failed: {message}", remedy="Try: ragsearch query --no-server")


def _post(
    config: Config, server: Announcement, body: Mapping[str, Any], *, expectation: str
) -> tuple[int, dict[str, Any]]:
    address = urlsplit(server.url)
    headers: dict[str, str | bytes] = {"content-type": "application/json", EXPECT_HEADER: expectation}
    if config.settings.server.api_key:
        headers["authorization"] = f"Bearer {config.settings.server.api_key}".encode()
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
