"""Decide which requests a server answers: the key, the Host header, the size and the type of the body."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

# Open for every method: probes of containers have no key, and a wrong method gets its 405.
HEALTH_PATHS = frozenset({"/health", "/healthz", "/ping"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OWN_USER = "own_user"  # key in the state of requests that came over the private socket
_HOST_REMEDY = "Add it to server.hosts, or start the server with a key: then it answers to any name."
_KEY_REMEDY = "Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."

Scope = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class AccessRules:
    """Limits and permissions for requests.

    api_key: None allows requests without a key (loopback only). hosts: accepted Host names, None accepts any.
    max_body: bytes. body_timeout_s: for the whole body.
    """

    api_key: str | None
    hosts: frozenset[str] | None
    max_body: int
    body_timeout_s: float

    @property
    def max_held(self) -> int:
        """The most bytes of request bodies in memory at the same time, over all requests."""
        return 16 * self.max_body


class Rejected(Exception):
    """A request that fails a check, with the reply to it."""

    def __init__(
        self, status: int, kind: str, message: str, headers: dict[str, str] | None = None, *, remedy: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.remedy = remedy
        self.headers = headers or {}


def check_access(scope: Scope, headers: dict[str, str], rules: AccessRules) -> None:
    """Raise Rejected unless the request has the key, a right Host name, a permitted size and a JSON body."""
    own = is_own_user(scope) or scope["path"] in HEALTH_PATHS
    host = re.sub(r":\d+$", "", headers.get("host", "")).strip("[]").lower()
    if not own and rules.hosts is not None and host not in rules.hosts:
        raise Rejected(421, "wrong_host", "this server does not answer for that Host name.", remedy=_HOST_REMEDY)
    if not own and rules.api_key is not None and not has_key(headers, rules.api_key):
        raise Rejected(
            401,
            "unauthorized",
            "a valid API key is needed.",
            {"www-authenticate": _challenge(headers)},
            remedy=_KEY_REMEDY,
        )
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > rules.max_body:
        raise too_large(rules.max_body)
    if scope["method"] == "POST" and (length != "0" or "transfer-encoding" in headers):
        _check_type(scope, headers)


def error_body(status: int, kind: str, message: str, remedy: str = "") -> dict[str, Any]:
    """Return the JSON of an error. `message` and `detail` are where clients of Cohere, vLLM and Jina read it."""
    text = f"{message} {remedy}".strip()
    error = {"message": message, "type": kind, "code": status, "remedy": remedy}
    return {"error": error, "message": text, "detail": text}


def is_own_user(scope: Scope) -> bool:
    """Return whether the request came over the private socket, which only the user of this server can open."""
    return bool(scope.get("state", {}).get(OWN_USER))


def _check_type(scope: Scope, headers: dict[str, str]) -> None:
    """Raise Rejected unless the body is JSON.

    A page of another site can make a browser POST other types, or no type, without a preflight request. Weaviate's
    client sends no type; it is not a browser, which would send `Origin`, so its body is taken as JSON.
    """
    kind = headers.get("content-type", "").split(";")[0].strip().lower()
    if not kind and "origin" not in headers:
        scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]
    elif kind != "application/json":
        raise Rejected(415, "unsupported_media_type", "the body must be application/json.")


def has_key(headers: dict[str, str], key: str) -> bool:
    """Return whether any header has the key.

    Accepts `Authorization: Bearer KEY`, `X-API-Key: KEY`, `api-key: KEY` (Azure), and Basic with the key as password
    (for browsers). Clients send an empty or useless `Authorization` beside the right header.
    """
    kind, _, token = headers.get("authorization", "").partition(" ")
    given = [headers.get(name, "").encode("latin-1") for name in ("x-api-key", "api-key")]  # keys are UTF-8
    if kind.lower() == "bearer":
        given.append(token.encode("latin-1"))
    elif kind.lower() == "basic":
        with contextlib.suppress(binascii.Error):
            given.append(base64.b64decode(token.encode("latin-1"), validate=True).partition(b":")[2])
    return any(hmac.compare_digest(candidate.strip(), key.encode()) for candidate in given)


def _challenge(headers: dict[str, str]) -> str:
    """Return the challenge: browsers get the one that makes them ask for a password."""
    return 'Basic realm="ragsearch"' if "text/html" in headers.get("accept", "") else "Bearer"


def too_large(limit: int) -> Rejected:
    """Return the rejection of a body of more than `limit` bytes."""
    return Rejected(413, "too_large", f"the body is larger than {limit:,} bytes.", {"connection": "close"})
