"""Write a settings file in which every setting is a comment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from rag_search.config.settings import Settings

HEAD = """\
# Settings of ragsearch. Remove the # in front of a line to change it.
# `ragsearch config show` prints every value and its origin.
"""


def settings_template() -> str:
    """Return TOML with all settings at their defaults, each in a comment."""
    defaults = Settings()
    plain = [field for field in fields(Settings) if not is_dataclass(getattr(defaults, field.name))]
    lines = [HEAD, *_lines(defaults, plain)]
    for section in fields(Settings):
        value = getattr(defaults, section.name)
        if is_dataclass(value):
            lines += ["", f"[{section.name}]", *_lines(value, list(fields(value)))]
    return "\n".join(lines) + "\n"


def _lines(section: Any, settings: list[Field[Any]]) -> Iterator[str]:
    """Yield a commented line for each setting of a section."""
    for setting in settings:
        value = getattr(section, setting.name)
        description = setting.metadata.get("description", "")
        given = "..." if value is None else "..." if isinstance(value, Path) else _toml(value)
        line = f"# {setting.name} = {given}"
        yield f"{line}  # {description}" if description else line


def _toml(value: Any) -> str:
    """Return a default as TOML; a JSON scalar or list of scalars is one."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
