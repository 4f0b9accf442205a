"""Settings, consoles and exit codes that every command shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_search.cli.terminal import SERVED, local_only
from rag_search.text.sanitize import json_text

if TYPE_CHECKING:
    from rich.console import Console

    from rag_search.config import Config
    from rag_search.render.paths import PathMapper

FOUND, NOTHING, FAILED = 0, 1, 2  # grep's exit codes
MAX_HITS = 1000
INTERRUPTED = 130  # as a shell reports Ctrl-C
_FORCED_TERMINAL = ("FORCE_COLOR", "TTY_COMPATIBLE")  # what makes a pipe a terminal for rich


class Profile(StrEnum):
    """Names of the setting `profile`."""

    builtin = "builtin"
    quality = "quality"
    gpu = "gpu"
    served = "served"


class Color(StrEnum):
    """When output has colours."""

    auto = "auto"
    always = "always"
    never = "never"


def set_color(when: Color) -> None:
    """Let the consoles of this process follow `--color`, whatever the environment says."""
    if when is Color.auto:
        return
    local_only()
    chosen, other = ("FORCE_COLOR", "NO_COLOR") if when is Color.always else ("NO_COLOR", "FORCE_COLOR")
    os.environ[chosen] = "1"
    os.environ.pop(other, None)


def load_config(*, ingested: Sequence[Path] = (), **flags: Any) -> Config:
    """Return the settings with `flags` above files and environment; `section__key` names a nested key.

    ingested: the paths of an ingest, which choose the project.
    """
    from rag_search.config import loading

    values = {name: value.value if isinstance(value, StrEnum) else value for name, value in flags.items()}
    config = loading.load_config(
        {name.replace("__", "."): value for name, value in values.items()}, cwd=working_folder(), ingested=ingested
    )
    if config.project_file and str(config.project_file) in config.origins.values():
        _name_hosts(config)
    return config


def _name_hosts(config: Config) -> None:
    """Name on stderr the hosts beyond this machine that the project file sends texts to."""
    from rag_search.config import flatten_settings
    from rag_search.config.trust import remote_hosts
    from rag_search.text.sanitize import plain

    file = str(config.project_file)
    for key, host in remote_hosts(list(flatten_settings(config.settings)), config.origins, file):
        write_stderr(f"{plain(f'{key} is {host}, as {file} says')}\n")


def read_text(name: str) -> str:
    """Read a text file, or stdin for `-`, and remove a byte order mark.

    Raises:
        InputError: the text cannot be read or is not UTF-8.
    """
    from rag_search.errors import InputError

    local_only()
    try:
        return (sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")).removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read: {error}.", remedy="Pass a UTF-8 text file.") from error


def stdout_console() -> Console:
    """Return the console for data. In a pipe it is plain and as wide as COLUMNS says, 80 without it."""
    from rich.console import Console

    served = SERVED.get()
    return served.console(served.stdout) if served else Console(highlight=False, emoji=False, markup=False)


def stdout_is_terminal() -> bool:
    """Return whether stdout counts as a terminal for rich; for a plain pipe without importing it (20 ms of a query)."""
    is_forced = any(map(os.environ.get, _FORCED_TERMINAL))
    if SERVED.get() is None and not is_forced and sys.stdout is not None and not sys.stdout.isatty():
        return False
    return stdout_console().is_terminal


def stderr_console() -> Console:
    """Return the console for progress, notes and warnings."""
    from rich.console import Console

    served = SERVED.get()
    return served.console(served.stderr) if served else Console(stderr=True, highlight=False, emoji=False, markup=False)


def print_sentence(console: Console, text: str) -> None:
    """Print text without paths: a terminal breaks it between words, and a pipe gets it whole."""
    console.print(text, soft_wrap=not console.is_terminal)


def write_stdout(text: str) -> None:
    """Write data to stdout as it is."""
    served = SERVED.get()
    (served.stdout if served else sys.stdout).write(text)


def write_stderr(text: str) -> None:
    """Write a note to stderr as it is."""
    served = SERVED.get()
    (served.stderr if served else sys.stderr).write(text)


def working_folder() -> Path:
    """Return the folder that the user is in. Raises InputError if it was deleted."""
    if served := SERVED.get():
        return served.folder
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        from rag_search.errors import InputError

        raise InputError("the working folder does not exist any more.", remedy="Change to another one: cd") from error


def print_json(value: object) -> None:
    """Print a value as indented JSON on stdout, at once: the command may go on running."""
    write_stdout(f"{json_text(value, indent=2)}\n")
    sys.stdout.flush()


def places(config: Config) -> PathMapper:
    """Return the mapping between stored paths and paths as shown in the working directory."""
    from rag_search.render.paths import PathMapper

    return PathMapper.of(config, working_folder())
