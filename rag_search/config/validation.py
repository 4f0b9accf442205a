"""Clean or refuse settings before they are checked, where pydantic's limits cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rag_search.errors import ConfigError
from rag_search.runtime.http import clean_key, clean_url

_CLEAN: Mapping[str, Callable[[str], str]] = {
    ".api_key": clean_key,
    "embedder.url": clean_url,
    "reranker.url": clean_url,  # not store.url, whose scheme is postgresql
}


def cleaned(values: Mapping[str, Any], origins: Mapping[str, str]) -> dict[str, Any]:
    """Return `values`, nested by section, with addresses and keys that can be used.

    Raises ConfigError with the setting and its origin.
    """
    return {
        section: {name: _clean_value(f"{section}.{name}", inner, origins) for name, inner in value.items()}
        if isinstance(value, Mapping)
        else value
        for section, value in values.items()
    }


def _clean_value(key: str, value: Any, origins: Mapping[str, str]) -> Any:
    """Clean one value if it is an address or a key. Raises ConfigError."""
    clean = next((clean for name, clean in _CLEAN.items() if key.endswith(name)), None)
    if clean is None or not isinstance(value, str) or not value:
        return value
    try:
        return clean(value)
    except ValueError as error:
        message = f"setting {key!r} ({origins[key]}): {error}."
        raise ConfigError(message, remedy="Correct or remove it.") from error
