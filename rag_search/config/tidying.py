"""Settings that are put right, or refused, before they are checked: what pydantic's limits cannot say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_search.errors import ConfigError
from rag_search.web import clean_key


def tidied(values: Mapping[str, Any], origins: Mapping[str, str]) -> dict[str, Any]:
    """`values`, nested by section, with keys that can be sent. Raises ConfigError, which names setting and origin."""
    return {
        section: {name: _tidy(f"{section}.{name}", inner, origins) for name, inner in value.items()}
        if isinstance(value, Mapping)
        else value
        for section, value in values.items()
    }


def _tidy(key: str, value: Any, origins: Mapping[str, str]) -> Any:
    if not isinstance(value, str) or not key.endswith(".api_key"):
        return value
    try:
        return clean_key(value)
    except ValueError as error:
        raise ConfigError(f"setting {key!r} ({origins[key]}): {error}.", remedy="Write the key alone.") from error
