"""Read settings from the environment by pydantic-settings.

A module of its own: the import takes 40 ms, and most queries run without a `RAGSEARCH_*` variable.
"""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import ValidationError, create_model
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from rag_search.config.settings import ENV_PREFIX, Settings
from rag_search.errors import ConfigError


class _Environment(BaseSettings):
    """The base of a model with the fields of Settings."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid")


@cache
def _environment_model() -> type[BaseSettings]:
    """Return a model with the fields of Settings. A server reads the environment for each query."""
    kinds = get_type_hints(Settings)
    sections: dict[str, Any] = {section.name: (kinds[section.name], None) for section in fields(Settings)}
    return create_model("Environment", __base__=_Environment, **sections)


def read_environment() -> dict[str, Any]:
    """Return the settings of the environment, nested. Raises ConfigError for a value that cannot be read."""
    try:
        return EnvSettingsSource(_environment_model())()
    except (ValueError, ValidationError) as error:
        raise ConfigError(
            f"the environment contains a value that cannot be read: {error}.",
            remedy=f"Correct or unset that variable, whose name begins with {ENV_PREFIX}.",
        ) from error
