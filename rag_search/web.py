"""What the HTTP clients of this program share: keys as they can be sent."""

from __future__ import annotations


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
