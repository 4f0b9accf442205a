"""Decide which settings of a project file are believed: a checkout must not choose where documents and keys go.

A project file is trusted as a whole by `ragsearch trust`, until one of its guarded settings changes. Guarded are
addresses beyond this machine, folders of models, `cache_dir`, the command of the editor, and an index outside of the
project. Without trust they are errors, not ignored: a query to another place than the file says would surprise, too.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rag_search.errors import ConfigError
from rag_search.runtime.files import write_atomically

_ADDRESSES = ("url", "uri", "dsn", "host", "address", "vectors")  # last names of keys
_MODELS = ("model", "tokenizer")


def guarded_settings(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the settings of a project file that need trust. values: dotted keys. folder: of the file."""
    return {key: str(value) for key, value in values.items() if _is_guarded(key, value, folder)}


def sensitive_settings(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return what `ragsearch trust` is about: guarded settings, and addresses here, which a key may go to."""
    return {key: str(value) for key, value in values.items() if is_address(key) or _is_guarded(key, value, folder)}


def require_none(file: Path, guarded: Mapping[str, str]) -> None:
    """Raise ConfigError if an untrusted file has guarded settings."""
    if guarded:
        listed = ", ".join(f"{key} = {value!r}" for key, value in sorted(guarded.items()))
        raise ConfigError(
            f"{file} is not trusted, and sets {listed}.",
            remedy="Read it. If documents, queries and keys may go there, run: ragsearch trust",
        )


def require_own_key(keys: Mapping[str, str], origins: Mapping[str, str], project: str) -> None:
    """Raise ConfigError for a key of the user beside an address of an untrusted project file.

    keys: the addresses that the file sets, dotted. origins: of every setting. project: the origin of the file.
    """
    for key, url in keys.items():
        secret = f"{key.rpartition('.')[0]}.api_key"
        if origins.get(secret, project) != project:
            raise ConfigError(
                f"{project} is not trusted, and its {key} = {url!r} would receive {secret} ({origins[secret]}).",
                remedy="Read it. If the key may go there, run: ragsearch trust",
            )


def is_trusted(file: Path, sensitive: Mapping[str, str], *, data: Path) -> bool:
    """Return whether the user has trusted exactly these settings of the file. data: the folder of our data."""
    try:
        return _record(file, data).read_text("utf-8") == _digest(sensitive)
    except (OSError, UnicodeDecodeError):
        return False


def trust(file: Path, sensitive: Mapping[str, str], *, data: Path) -> None:
    """Record that the user trusts these settings of the file. Raises OSError."""
    write_atomically(_record(file, data), _digest(sensitive).encode(), mode=0o600)


def distrust(file: Path, *, data: Path) -> None:
    """Forget that the user trusts the file."""
    _record(file, data).unlink(missing_ok=True)


def is_local(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_here(value: str) -> bool:
    """Return whether an address is on this machine. Of other schemes than HTTP, parameters can name another host."""
    return is_local(host_of(value)) and ("://" not in value or value.partition("://")[0].lower() in ("http", "https"))


def host_of(value: str) -> str:
    """Return the host of an address; the whole of one without a scheme."""
    try:
        return (urlsplit(value).hostname or value) if "://" in value else value
    except ValueError:
        return value


def is_address(key: str) -> bool:
    """Return whether a dotted key is an address."""
    return key.rpartition(".")[2] in _ADDRESSES


def _is_guarded(key: str, value: Any, folder: Path) -> bool:
    """Return whether one setting needs trust."""
    name = key.rpartition(".")[2]
    if name == "follow_links":
        return value is True
    if not isinstance(value, str) or not value:
        return False
    if name in _ADDRESSES:
        return not is_here(value.strip())
    if name in _MODELS:
        return _is_folder(value, folder)
    if name == "links":
        return not value.isalpha()  # a template, which may lead anywhere; the others are names
    if name == "known_answers":
        return not _resolved(value, folder).is_relative_to(folder.resolve())
    if key == "index":
        return ("/" in value or os.sep in value) and not _resolved(value, folder).is_relative_to(folder.resolve())
    return key == "cache_dir" or name == "editor"  # the editor is a command that runs


def _is_folder(value: str, folder: Path) -> bool:
    """Return whether a model is a folder and not a name: also one that is shadowed by a folder of its name."""
    return value.startswith((".", "/", "~", "\\")) or Path(value).is_absolute() or _resolved(value, folder).exists()


def _resolved(value: str, folder: Path) -> Path:
    """Return the real place of a path in a file of `folder`."""
    return (folder / os.path.expanduser(value)).resolve()  # noqa: PTH111 (Path.expanduser raises for an unknown ~name)


def _record(file: Path, data: Path) -> Path:
    """Return where trust in the file is recorded."""
    return data / "trusted" / hashlib.sha256(os.fsencode(file.resolve())).hexdigest()


def _digest(sensitive: Mapping[str, str]) -> str:
    """Hash the settings, so that a change of one ends the trust."""
    return hashlib.sha256(json.dumps(sorted(sensitive.items())).encode()).hexdigest()


def remote_hosts(values: Sequence[tuple[str, Any]], origins: Mapping[str, str], project: str) -> list[tuple[str, str]]:
    """Return key and host of each address beyond this machine that the project file sets. values: all settings."""
    return [
        (key, host_of(str(value)))
        for key, value in values
        if value and is_address(key) and origins.get(key) == project and not is_here(str(value))
    ]
