"""What the HTTP clients of this program share: addresses and keys as they can be used."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

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


def uses_proxy(url: str) -> bool:
    """Whether the proxies of the environment count: never for an address of this machine, which no proxy reaches."""
    name = urlsplit(url).hostname or ""
    try:
        return not ip_address(name).is_loopback
    except ValueError:
        return name != "localhost"
