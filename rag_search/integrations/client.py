"""Fetch passages of the index from a running `ragsearch serve`, for all adapters.

The adapters use a server instead of the library: models are loaded once for all processes, the next question sees a new
ingest, and an adapter is a few plain values that a framework can copy, pickle and store.
"""

from __future__ import annotations

import atexit
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

import httpx

from rag_search.errors import InputError, ServerError
from rag_search.runtime.bounded import MAX_ANSWER_BYTES, TooLargeError, request_within
from rag_search.runtime.foreign_json import parse_json
from rag_search.runtime.http import JSON_TYPE, bearer, clean_key, clean_url, json_body, uses_proxy

DEFAULT_URL = "http://127.0.0.1:7860"
KEY_VARIABLE = "RAGSEARCH_SERVER__API_KEY"
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Passage:
    """One hit.

    id: the same for the same passage in every search. metadata: path, title, heading_path, line_start, line_end.
    """

    id: str
    text: str
    score: float
    metadata: dict[str, Any]


def search(
    url: str,
    query: str,
    *,
    top_k: int = 5,
    options: Mapping[str, Any] | None = None,
    api_key: str | None = None,
    timeout_s: float = TIMEOUT_S,
) -> list[Passage]:
    """Return the passages that answer `query`, best first; none if nothing is a confident match.

    options: further fields of /v1/search: instruction, paths, where, since, candidates, min_score, rerank, group.
    api_key: None takes the environment variable RAGSEARCH_SERVER__API_KEY.
    Raises InputError for an invalid request, ServerError if the server does not answer or fails.
    """
    try:
        key = clean_key(os.environ.get(KEY_VARIABLE, "") if api_key is None else api_key)
    except ValueError as error:
        raise InputError(f"the server's key cannot be sent: {error}.", remedy="Write the key alone.") from error
    try:
        url = clean_url(url)
    except ValueError as error:
        raise InputError(f"the server's address cannot be used: {error}.", remedy=f"Example: {DEFAULT_URL}") from error
    response = _post(url, {**(options or {}), "query": query, "top_k": top_k}, bearer(key), timeout_s)
    try:
        reply = parse_json(response.content)
        if response.status_code != 200:
            _fail(url, response.status_code, reply["error"])
        return [_passage(hit) for hit in reply["hits"]]
    except (ValueError, TypeError, KeyError) as error:
        raise ServerError(f"{url} is not a ragsearch server.", remedy="Use the address that serve printed.") from error


def _post(url: str, body: Mapping[str, Any], headers: Mapping[bytes, bytes], timeout_s: float) -> httpx.Response:
    client, headers = http_client(trust_env=uses_proxy(url)), {**headers, **JSON_TYPE}
    try:
        return request_within(
            client, "POST", f"{url}/v1/search", content=json_body(body), headers=headers, seconds=timeout_s
        )
    except httpx.TimeoutException as error:
        raise ServerError(f"{url} did not answer within {timeout_s:g} s.") from error
    except TooLargeError as error:
        raise ServerError(f"{url} answered more than {MAX_ANSWER_BYTES / 2**20:g} MiB.") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(f"no server answers at {url}: {error}.", remedy="Start it: ragsearch serve") from error


@cache
def http_client(*, trust_env: bool) -> httpx.Client:
    """Return the client of this process, with or without proxies.

    Creating one reads all certificates, which takes longer than a search.
    """
    client = httpx.Client(trust_env=trust_env, timeout=httpx.Timeout(None, connect=10.0))  # each search has its own
    atexit.register(client.close)
    return client


def _passage(hit: Mapping[str, Any]) -> Passage:
    metadata = {name: hit[name] for name in ("path", "title", "heading_path", "line_start", "line_end")}
    place = f"{hit['path']}:{hit['line_start']}\n{hit['text']}"
    return Passage(hashlib.sha256(place.encode()).hexdigest(), hit["text"], hit["score"], metadata)


def _fail(url: str, status: int, error: Mapping[str, Any]) -> NoReturn:
    message, remedy = str(error["message"]), str(error.get("remedy", ""))
    if status in (400, 413, 422):
        raise InputError(message, remedy=remedy)
    if status == 401:
        remedy = f"Give the server's key as api_key, or set {KEY_VARIABLE}."
    raise ServerError(f"{url} refused: {message}", remedy=remedy)
