"""What every command shares: options, consoles, exit codes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from rag_search.config import Config
    from rag_search.render.paths import Places

FOUND, NOTHING, FAILED = 0, 1, 2  # grep's exit codes

IndexOption = Annotated[
    str | None, typer.Option("--index", help="Index name, or a path with a slash.", metavar="NAME|PATH")
]
ProfileOption = Annotated[str | None, typer.Option("--profile", help="builtin, gpu or served.", metavar="NAME")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load(**flags: Any) -> Config:
    """Settings with the flags given; `section__key` names a nested key."""
    from rag_search.config import load_config

    return load_config({name.replace("__", "."): value for name, value in flags.items()})


def read_text(name: str) -> str:
    """The text of a file, of stdin for `-`, without a byte order mark. Raises InputError."""
    from rag_search.errors import InputError

    try:
        return (sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")).removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name} cannot be read: {error}.", remedy="Name a text in UTF-8.") from error


def out() -> Console:
    """The console for data. In a pipe it is plain and as wide as COLUMNS says, 80 otherwise."""
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def talk() -> Console:
    """The console for everything that is not the answer."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, emoji=False, markup=False)


def places(config: Config) -> Places:
    """How stored paths are shown from here."""
    from rag_search.render.paths import Places

    return Places(config.base_dir, Path.cwd())
