"""Settings as pydantic-settings reads them from the environment.

A module of its own: the import takes 40 ms, and most queries are asked without a `RAGSEARCH_*` variable.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from rag_search.config.settings import ENV_PREFIX, Settings
from rag_search.errors import ConfigError


class _Environment(BaseSettings, Settings):
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid")


def read_environment() -> dict[str, Any]:
    """Nested dict of the settings that the environment gives. Raises ConfigError for a value that cannot be read."""
    try:
        return EnvSettingsSource(_Environment)()
    except (ValueError, ValidationError) as error:
        raise ConfigError(f"the environment holds a value that cannot be read: {error}.") from error
