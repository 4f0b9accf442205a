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

from rag_search.announcing import Announcement, announcement, announcement_file, find_server
from rag_search.config import Config
from rag_search.errors import InputError, ServerError
from rag_search.records import SearchOptions, SearchResult
from rag_search.wire import pack_options, unpack_result

EXPECT_HEADER = "x-ragsearch-expect"
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
