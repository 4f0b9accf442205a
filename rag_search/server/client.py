"""Send queries to a running `ragsearch serve` instead of loading an engine.

A query sends a hash of the version, index and settings that it expects; a server with others refuses with 409.
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
from rag_search.runtime.foreign_json import parse_json
from rag_search.server.codec import pack_options, unpack_result
from rag_search.server.discovery import ServerRecord, find_server, forget, server_record

EXPECT_HEADER = "x-ragsearch-expect"
PER_REQUEST = 256  # questions, few enough to be answered within the timeout
MAX_REPLY_BYTES = 256 * 2**20  # a longer reply is cut, and then it is not JSON
_CONNECT_TIMEOUT_S = 2.0


class OtherServerError(ServerError):
    """A server runs, but with another version, index or settings, or it is too busy: search in this process."""


def ask_server(
    config: Config, questions: Sequence[str], options: SearchOptions
) -> tuple[list[SearchResult], ServerRecord] | None:
    """Return the results of the running server of this index and its record, None if there is no server.

    Raises InputError as a search in this process does, OtherServerError if the server cannot be used, ServerError if
    it failed.
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
    config: Config, server: ServerRecord, questions: Sequence[str], options: SearchOptions
) -> list[SearchResult] | None:
    """Return the results of one request, None if no program listens at the address any more."""
    body = {"queries": list(questions), "options": pack_options(options)}
    try:
        status, reply = _post(config, server, body, expectation=server_record(config, server.url).expectation)
    except ConnectionRefusedError:
        forget(config, server)  # a killed server leaves its record
        return None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = type(error).__name__ if isinstance(error, ValueError) else error  # a ValueError may quote the key
        raise OtherServerError(f"the server at {server.url} did not answer: {reason}.") from error
    packed = reply.get("results")
    if status == 200 and isinstance(packed, list) and len(packed) == len(questions):
        return _unpack(packed, server)
    raise _failure(status, reply, server)


def _unpack(packed: Sequence[Mapping[str, Any]], server: ServerRecord) -> list[SearchResult]:
    try:
        return [unpack_result(result) for result in packed]
    except ServerError as error:  # another program owns the port now
        raise OtherServerError(f"the server at {server.url} was not used: {error.message}") from error


def _failure(status: int, reply: Mapping[str, Any], server: ServerRecord) -> Exception:
    error = reply.get("error")
    error = error if isinstance(error, dict) else {}
    message, remedy = str(error.get("message", f"status {status}")), str(error.get("remedy", ""))
    if status == 400 and error:
        return InputError(message, remedy=remedy)
    if status not in (500, 502):  # other settings, too busy, or limits that a search in this process does not have
        return OtherServerError(f"the server at {server.url} was not used: {message}")
    return ServerError(f"the server at {server.url} failed: {message}", remedy="Try: ragsearch query --no-server")


def _post(
    config: Config, server: ServerRecord, body: Mapping[str, Any], *, expectation: str
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
        reply = parse_json(response.read(MAX_REPLY_BYTES))
        if not isinstance(reply, dict):
            raise http.client.HTTPException("the reply is not a JSON object")
        return response.status, reply
    finally:
        connection.close()
