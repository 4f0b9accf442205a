"""Check addresses and keys, and build headers and bodies, for all HTTP clients of this program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

JSON_TYPE = {b"Content-Type": b"application/json"}
_VERSIONS = ("/v1", "/v2")


def clean_url(url: str) -> str:
    """Return the base address without slashes at its end. Raises ValueError if no request can be sent to it."""
    cleaned = url.strip().rstrip("/")
    if not cleaned.isprintable() or " " in cleaned:
        raise ValueError("it contains a blank or a control character")
    parts = urlsplit(cleaned)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is not an HTTP address such as http://127.0.0.1:8101/v1")
    if "@" in parts.netloc:  # addresses are printed and logged
        raise ValueError("it contains a user name or a password; put a key into api_key")
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError("its port is not a number up to 65535") from error
    return cleaned


def without_credentials(url: str) -> str:
    """Return an address without user, password and options, to be printed."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def root_of(url: str) -> str:
    """Return the address without its version: vLLM serves /tokenize, /health and /metrics there."""
    url = url.rstrip("/")
    return url[:-3] if url.endswith(_VERSIONS) else url


def clean_key(key: str) -> str:
    """Return the key without blanks around it: a key from a file often ends in a line end.

    Raises ValueError for a key that no header can carry; the message never contains the key.
    """
    cleaned = key.strip()
    if key and not cleaned:
        raise ValueError("it is blank")
    if not cleaned.isprintable():  # libraries quote the whole header in their error
        raise ValueError("it contains a line end or another control character")
    return cleaned


def bearer(key: str | None) -> dict[bytes, bytes]:
    """Return the header with the key, in bytes since httpx encodes text as ASCII; no header without a key."""
    return {b"Authorization": f"Bearer {key}".encode()} if key else {}


def json_body(body: Mapping[str, Any]) -> bytes:
    """Encode a body as UTF-8, with "?" for lone surrogates, at which httpx's own encoding fails.

    Send it with JSON_TYPE.
    """
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def uses_proxy(url: str) -> bool:
    """Return whether the environment's proxies apply: not for an address of this machine, which no proxy reaches."""
    name = urlsplit(url).hostname or ""
    try:
        return not ip_address(name).is_loopback
    except ValueError:
        return name != "localhost"
