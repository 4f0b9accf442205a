"""Decide which settings of a project file are believed: a checkout must not choose where documents and keys go.

A project file is trusted as a whole by `ragsearch trust`, until one of its guarded settings changes. Guarded are
addresses beyond this machine, names and the key that a server answers to, folders of models, `cache_dir`, the command
of the editor, and an index outside of the project. Without trust they are errors, not ignored: a query to another place
than the file says would surprise, too.
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
from rag_search.runtime.files import is_there, write_atomically

_ADDRESSES = ("url", "uri", "dsn", "host", "address", "vectors")  # last names of keys
_MODELS = ("model", "tokenizer")
_KEY = "api_key"


def guarded_settings(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return the settings of a project file that need trust. values: dotted keys. folder: of the file."""
    return {key: _shown(key, value) for key, value in values.items() if _is_guarded(key, value, folder)}


def sensitive_settings(values: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return what `ragsearch trust` is about: guarded settings, keys, and addresses here, which a key may go to."""
    return {
        key: _shown(key, value)
        for key, value in values.items()
        if is_address(key) or _is_key(key) or _is_guarded(key, value, folder)
    }


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
        secret = f"{key.rpartition('.')[0]}.{_KEY}"
        if origins.get(secret, project) != project:
            raise ConfigError(
                f"{project} is not trusted, and its {key} = {url!r} would receive {secret} ({origins[secret]}).",
                remedy="Read it. If the key may go there, run: ragsearch trust",
            )


def require_own_address(keys: Sequence[str], origins: Mapping[str, str], project: str) -> None:
    """Raise ConfigError for a key of an untrusted project file beside an address of the user.

    Who made the key can see what is sent under it. keys: those that the file sets, dotted. origins, project: as above.
    """
    for secret in keys:
        url = f"{secret.rpartition('.')[0]}.url"
        if origins.get(url, project) != project:
            raise ConfigError(
                f"{project} is not trusted, and its {secret} would be sent to {url} ({origins[url]}).",
                remedy="Read it. If documents and queries may go there under that key, run: ragsearch trust",
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


def keys_of(values: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of the keys that a file sets."""
    return [key for key, value in values.items() if _is_key(key) and value]


def _is_key(key: str) -> bool:
    """Return whether a setting is a key."""
    return key.rpartition(".")[2] == _KEY


def _shown(key: str, value: Any) -> str:
    """Return a value as text to print and to compare; of a key only its digest."""
    return f"SHA-256 {hashlib.sha256(repr(value).encode()).hexdigest()[:16]}" if _is_key(key) else str(value)


def _is_guarded(key: str, value: Any, folder: Path) -> bool:
    """Return whether one setting needs trust."""
    name = key.rpartition(".")[2]
    if name == "follow_links":
        return value is not False  # 1 and "yes" are true, too
    if key in ("server.hosts", "server.api_key"):  # with either, a page of another site can get through by its name
        return bool(value)
    if key == "server.host":
        return not isinstance(value, str) or not is_local(value.strip())  # "" is not an address of this machine
    if not isinstance(value, str) or not value:
        return False
    if name in _ADDRESSES:
        return not is_here(value.strip())
    if name in _MODELS:
        return _is_folder(value, folder)
    if name == "links":
        return not value.isalpha()  # a template, which may lead anywhere; the others are names
    if name == "known_answers":
        return not _is_inside(value, folder)
    if key == "index":
        return ("/" in value or os.sep in value) and not _is_inside(value, folder)
    return key == "cache_dir" or name == "editor"  # the editor is a command that runs


def _is_folder(value: str, folder: Path) -> bool:
    """Return whether a model is a folder and not a name: also one that is shadowed by a folder of its name."""
    if value.startswith((".", "/", "~", "\\")) or Path(value).is_absolute():
        return True
    place = _resolved(value, folder)
    return place is not None and is_there(place)


def _is_inside(value: str, folder: Path) -> bool:
    """Return whether a path in a file of `folder` is below that folder."""
    place = _resolved(value, folder)
    return place is not None and place.is_relative_to(folder.resolve())


def _resolved(value: str, folder: Path) -> Path | None:
    """Return the real place of a path in a file of `folder`; None for what cannot be a path."""
    try:
        return (folder / os.path.expanduser(value)).resolve()  # noqa: PTH111 (Path.expanduser raises for ~name)
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
        return None


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
