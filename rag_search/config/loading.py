"""Load settings and record the origin of each.

flags > environment (`RAGSEARCH_*`, nested with `__`) > project `ragsearch.toml` > user `config.toml` > defaults. Every
layer is read as a plain dict, the dicts are merged, and pydantic checks the result once. So `config show` can name the
origin of each value, and an unknown key is an error in any layer.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from rag_search.config.projects import Project, project_at, project_of
from rag_search.config.settings import ENV_PREFIX, PATH_KEYS, Settings, checked, flatten, known_keys, put, unflatten
from rag_search.errors import ConfigError
from rag_search.runtime.files import is_file
from rag_search.runtime.http import without_credentials

if TYPE_CHECKING:
    from pydantic import ValidationError

PROJECT_FILE = "ragsearch.toml"
TRUST_VARIABLE = ENV_PREFIX + "TRUST"


@dataclass(frozen=True)
class Config:
    """Checked settings, the origin of each dotted key ("defaults" when absent) and the project file, if any."""

    settings: Settings
    origins: Mapping[str, str]
    project_file: Path | None
    cwd: Path = field(default_factory=Path.cwd)
    ingested: tuple[Path, ...] = ()

    @cached_property
    def index_dir(self) -> Path:
        """Folder of the index.

        In order: the index of the project in a folder that is given; a path as given; `indexes/NAME` beside
        ragsearch.toml; a name in the user's data folder; without any, the index of the project.
        """
        name = self.settings.index
        if _is_path(name):
            named = Project.of(Path(name).absolute(), data_dir())
            return named.index_dir if named.is_known else Path(name).absolute()
        if self.project_file:
            return self.project_file.parent / "indexes" / name
        if "index" in self.origins:
            return data_dir() / "indexes" / name
        return self.project.index_dir

    @cached_property
    def project(self) -> Project:
        """The project of the working folder, or of the paths that are ingested.

        Raises InputError where several projects are below the working folder.
        """
        if self.ingested:
            return project_of(self.ingested, self.cwd, data_dir())
        return project_at(self.cwd, data_dir())

    @property
    def index_place(self) -> str:
        """Where the index is, for people: its folder, or the database without user and password, and its name."""
        url = self.settings.store.url
        return f"{without_credentials(url)} ({self.settings.index})" if url else str(self.index_dir)


def load_config(
    flags: Mapping[str, Any] | None = None,
    *,
    cwd: Path | None = None,
    trusting: bool | None = None,
    ingested: Sequence[Path] = (),
) -> Config:
    """Read every layer. flags: dotted keys to values; None means "not given".

    ingested: the paths of an ingest, which choose the project; none: the working folder does.

    Relative paths in a file are resolved against that file's folder, in flags and variables against `cwd`. `~` expands
    to the home folder. trusting: believe every setting of the project file; None: if RAGSEARCH_TRUST is 1.
    Raises ConfigError for an unknown key, a bad value, broken TOML, and a project file that needs trust.
    """
    cwd = (cwd or Path.cwd()).absolute()
    trusting = os.environ.get(TRUST_VARIABLE) == "1" if trusting is None else trusting
    project_file = find_project_file(cwd)
    file = user_file()
    layers = [
        (str(file), file.parent, _read_toml(file)),
        ("environment", cwd, _read_environment()),
        ("flag", cwd, unflatten({key: value for key, value in (flags or {}).items() if value is not None})),
    ]
    if project_file:
        layers.insert(1, (str(project_file), project_file.parent, _read_toml(project_file)))
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    known = known_keys()
    for origin, folder, layer in layers:
        for key, value in flatten(layer):
            if key not in known:
                raise ConfigError(f"unknown setting {key!r} ({origin}).", remedy=did_you_mean(key, known))
            origins[key] = _name_origin(origin, key)
            put(merged, key, _resolved(key, value, folder))
    if project_file:
        _require_trust(project_file, layers[1][2], origins, trusting=trusting)
    settings = _check(merged, origins) if merged else Settings()
    return Config(settings, origins, project_file, cwd, tuple(ingested))


def sensitive_in(file: Path) -> dict[str, str]:
    """Return the settings of a project file that `ragsearch trust` is about. Raises ConfigError for a broken file."""
    from rag_search.config.trust import sensitive_settings

    return sensitive_settings(dict(flatten(_read_toml(file))), file.parent)


def _require_trust(file: Path, layer: Mapping[str, Any], origins: Mapping[str, str], *, trusting: bool) -> None:
    """Raise ConfigError for a guarded setting of an untrusted project file, unless a stronger layer replaces it."""
    used = {key: value for key, value in flatten(layer) if origins[key] == str(file)}
    if not used or trusting:
        return
    from rag_search.config import trust

    if trust.is_trusted(file, trust.sensitive_settings(dict(flatten(layer)), file.parent), data=data_dir()):
        return
    trust.require_none(file, trust.guarded_settings(used, file.parent))
    trust.require_own_key({key: used[key] for key in used if trust.is_address(key)}, origins, str(file))
    trust.require_own_address(trust.keys_of(used), origins, str(file))


def find_project_file(start: Path) -> Path | None:
    """Return the nearest ragsearch.toml at or above `start`."""
    for folder in (start.absolute(), *start.absolute().parents):
        if is_file(folder / PROJECT_FILE):
            return folder / PROJECT_FILE
    return None


def user_file() -> Path:
    """Return the settings file of the user, which need not exist."""
    return Path(platformdirs.user_config_dir("ragsearch")) / "config.toml"


def data_dir() -> Path:
    """Return the folder of indexes that belong to no project."""
    return Path(platformdirs.user_data_dir("ragsearch"))


def _resolved(key: str, value: Any, folder: Path) -> Any:
    """Return a path resolved against `folder`; other values unchanged."""
    if not isinstance(value, (str, Path)) or not (key in PATH_KEYS or (key == "index" and _is_path(str(value)))):
        return value
    return str(folder / os.path.expanduser(value))  # noqa: PTH111 (Path.expanduser raises for an unknown ~name)


def _is_path(index: str) -> bool:
    """Return whether the setting `index` is a path and not a name."""
    return "/" in index or os.sep in index


def _read_toml(path: Path) -> dict[str, Any]:
    """Read a file of settings; empty if there is none. Raises ConfigError."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", remedy="Fix or remove the file.") from error
    from rag_search.runtime.foreign_toml import parse_toml  # here, since most queries have no settings

    try:
        return parse_toml(text)
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read: {error}.", remedy="Fix or remove the file.") from error


def _read_environment() -> dict[str, Any]:
    """Read the environment; empty without a variable of ours. Raises ConfigError for an unknown one."""
    given = [name for name in os.environ if name.upper().startswith(ENV_PREFIX) and name != TRUST_VARIABLE]
    if not given:
        return {}
    known = {ENV_PREFIX + key.replace(".", "__").upper() for key in known_keys()}
    for name in given:
        if name.upper() not in known:
            raise ConfigError(f"unknown environment variable {name}.", remedy=did_you_mean(name, sorted(known)))
    if [name.upper() for name in given] == [ENV_PREFIX + "INDEX"]:
        return {"index": os.environ[given[0]]}  # any text is one, so the variable that most set needs no pydantic
    from rag_search.config.environment import read_environment

    return read_environment()


def _check(merged: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    """Check the merged settings. Raises ConfigError."""
    _check_index_name(merged.get("index"), origins)
    if set(merged) == {"index"} and isinstance(merged["index"], str):
        return Settings(index=merged["index"])  # any text is one: `--index` alone needs no pydantic
    from pydantic import ValidationError  # 70 ms that a query with all defaults does not need

    from rag_search.config.validation import cleaned

    try:
        return checked(cleaned(merged, origins))
    except ValidationError as error:
        raise _explain(error, origins) from error


def _check_index_name(name: Any, origins: Mapping[str, str]) -> None:
    """Raise ConfigError for a name that is another folder than one of its own, or that no folder can have."""
    if isinstance(name, str) and (name in ("", ".", "..") or "\0" in name):
        raise ConfigError(
            f"setting 'index' ({origins.get('index', 'defaults')}): {name!r} cannot be the name of an index.",
            remedy="Choose a name such as docs, or a path that contains a slash.",
        )


def _explain(error: ValidationError, origins: Mapping[str, str]) -> ConfigError:
    """Return the first error of pydantic with the origin of the value."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"])
    origin = origins.get(key, "defaults")
    return ConfigError(f"setting {key!r} ({origin}): {problem['msg']}.", remedy="Correct or remove it.")


def did_you_mean(
    word: str, choices: list[str], *, otherwise: str = "Remove it: ragsearch config show lists all."
) -> str:
    """Return the remedy for an unknown name. otherwise: the remedy when no choice is like it."""
    close = difflib.get_close_matches(word, choices, n=1)
    return f"Did you mean {close[0]}?" if close else otherwise


def _name_origin(origin: str, key: str) -> str:
    """Return the variable of a key of the environment; any other origin unchanged."""
    return ENV_PREFIX + key.replace(".", "__").upper() if origin == "environment" else origin
