"""What the HTTP clients of this program share: addresses and keys as they can be used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

JSON_TYPE = {b"Content-Type": b"application/json"}
_VERSIONS = ("/v1", "/v2")


def clean_url(url: str) -> str:
    """The base address without slashes at its end. Raises ValueError for what no request can be sent to."""
    cleaned = url.strip().rstrip("/")
    if not cleaned.isprintable() or " " in cleaned:
        raise ValueError("it holds a blank or a control character")
    parts = urlsplit(cleaned)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("it is no HTTP address such as http://127.0.0.1:8101/v1")
    if "@" in parts.netloc:  # an address is shown everywhere
        raise ValueError("it holds a user name or a password; the place for a key is api_key")
    try:
        _ = parts.port
    except ValueError as error:
        raise ValueError("its port is no number up to 65535") from error
    return cleaned


def root_of(url: str) -> str:
    """The address without its version, where vLLM keeps /tokenize, /health and /metrics."""
    url = url.rstrip("/")
    return url[:-3] if url.endswith(_VERSIONS) else url


def clean_key(key: str) -> str:
    """The key without blanks around it: read from a file it often ends in a line end.

    Raises ValueError for one that no header can carry; the message never holds the key.
    """
    cleaned = key.strip()
    if key and not cleaned:
        raise ValueError("it is blank")
    if not cleaned.isprintable():  # libraries name the whole header in their error
        raise ValueError("it holds a line end or another control character")
    return cleaned


def bearer(key: str | None) -> dict[bytes, bytes]:
    """The header that carries the key; none without one. In bytes, since httpx sends only ASCII otherwise."""
    return {b"Authorization": f"Bearer {key}".encode()} if key else {}


def json_body(body: Mapping[str, Any]) -> bytes:
    """UTF-8, with "?" for lone surrogates, at which httpx's own encoding fails. Send it with JSON_TYPE."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def uses_proxy(url: str) -> bool:
    """Whether the proxies of the environment count: never for an address of this machine, which no proxy reaches."""
    name = urlsplit(url).hostname or ""
    try:
        return not ip_address(name).is_loopback
    except ValueError:
        return name != "localhost"
