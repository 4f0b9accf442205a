"""Settings that are put right, or refused, before they are checked: what pydantic's limits cannot say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rag_search.errors import ConfigError
from rag_search.runtime.http import clean_key, clean_url

_CLEAN: Mapping[str, Callable[[str], str]] = {".api_key": clean_key, ".url": clean_url}


def tidied(values: Mapping[str, Any], origins: Mapping[str, str]) -> dict[str, Any]:
    """`values`, nested by section, with addresses and keys that can be used.

    Raises ConfigError, which names setting and origin.
    """
    return {
        section: {name: _tidy(f"{section}.{name}", inner, origins) for name, inner in value.items()}
        if isinstance(value, Mapping)
        else value
        for section, value in values.items()
    }


def _tidy(key: str, value: Any, origins: Mapping[str, str]) -> Any:
    clean = next((clean for name, clean in _CLEAN.items() if key.endswith(name)), None)
    if clean is None or not isinstance(value, str) or not value:
        return value
    try:
        return clean(value)
    except ValueError as error:
        message = f"setting {key!r} ({origins[key]}): {error}."
        raise ConfigError(message, remedy="Change it there, or take it out.") from error
