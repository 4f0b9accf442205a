"""Change one setting in a TOML file and keep everything else in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from rag_search.config.settings import Settings, checked, flatten_settings, known_keys
from rag_search.errors import ConfigError
from rag_search.runtime.files import write_atomically


def set_in_file(path: Path, key: str, text: str) -> None:
    """Set `key` to the value that `text` names, and write the file in one step.

    Args:
        path: settings file; made if it does not exist.
        key: dotted name.
        text: as TOML if it is one (`3`, `true`, `"a"`, `[1, 2]`), else a string.

    Raises:
        ConfigError: unknown key, bad value, or a file that cannot be read or written.
    """
    if key not in known_keys():
        from rag_search.config.loading import did_you_mean

        remedy = did_you_mean(key, known_keys(), otherwise="All settings: ragsearch config show")
        raise ConfigError(f"unknown setting {key!r}.", remedy=remedy)
    value = _value(key, text)
    _check(key, value)
    try:
        document = tomlkit.parse(path.read_text("utf-8")) if path.is_file() else tomlkit.document()
        table: Any = document
        *parents, leaf = key.split(".")
        for parent in parents:
            if parent not in table:
                table[parent] = tomlkit.table()
            table = table[parent]
        table[leaf] = value
        write_atomically(path, tomlkit.dumps(document).encode("utf-8"), mode=_mode(path, key))
    except (OSError, ValueError, RecursionError, TOMLKitError) as error:
        raise ConfigError(f"{path} cannot be changed: {error}.", remedy="Fix or remove the file.") from error


def _mode(path: Path, key: str) -> int:
    """Return the permissions that a file keeps; with a key in it, only its owner may read it."""
    mode = path.stat().st_mode & 0o777 if path.is_file() else 0o666
    return mode & 0o600 if key.endswith(".api_key") else mode


def _value(key: str, text: str) -> Any:
    """Return the value that `text` names. A setting whose default is a text takes it as it is."""
    if isinstance(dict(flatten_settings(Settings())).get(key), str):
        return text
    try:
        return tomlkit.parse(f"value = {text}").unwrap()["value"]
    except (TOMLKitError, ValueError, RecursionError):  # ValueError: a number of thousands of digits
        return text


def _check(key: str, value: Any) -> None:
    """Raise ConfigError unless the setting takes the value."""
    from pydantic import ValidationError

    nested = value
    for part in reversed(key.split(".")):
        nested = {part: nested}
    try:
        checked(nested)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise ConfigError(f"{key} cannot be {value!r}: {problem}.", remedy="Run: ragsearch config show") from error
