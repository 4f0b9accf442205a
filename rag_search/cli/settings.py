"""`ragsearch config`: print, locate, create and change settings."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag_search.cli.common import load_config, print_json, stderr_console, stdout_console
from rag_search.cli.options import IndexOption, JsonOption, ProfileOption
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.config import Config

UserOption = Annotated[bool, typer.Option("--user", help="The user's file, for all projects.")]

config_app = typer.Typer(help="Settings and where they come from.", no_args_is_help=True)


@config_app.command("show")
def show(
    as_json: JsonOption = False,
    index: IndexOption = None,
    profile: ProfileOption = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only settings that differ from the defaults.")] = False,
) -> None:
    """Print every setting, its value and its origin."""
    from rag_search.config import flatten_settings

    config = load_config(index=index, profile=profile)
    rows = {
        key: {"value": _json_value(value), "origin": config.origins.get(key, "defaults")}
        for key, value in flatten_settings(config.settings)
        if key in config.origins or not changed
    }
    if as_json:
        print_json(rows)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("setting", "value", "origin"):
        table.add_column(name, overflow="fold")
    for key, row in rows.items():
        style = "" if row["origin"] == "defaults" else "bold"
        value = "-" if row["value"] is None else plain(str(row["value"]))
        table.add_row(Text(key, style=style), Text(value), Text(plain(row["origin"])))
    stdout_console().print(table)


def _json_value(value: Any) -> Any:
    """Return a setting as a JSON value. A secret is masked already."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@config_app.command("path")
def path(as_json: JsonOption = False) -> None:
    """Print the settings files, strongest first.

    One that does not exist is named on stderr.
    """
    config = load_config()
    files = {"project": _project_file(config), "user": _user_file()}
    if as_json:
        print_json({name: {"path": str(file), "exists": file.is_file()} for name, file in files.items()})
        return
    for file in files.values():
        sys.stdout.write(f"{plain(str(file))}\n")
        if not file.is_file():
            stderr_console().print(f"{plain(str(file))} does not exist yet", soft_wrap=True)


@config_app.command("init")
def init(user: UserOption = False, as_json: JsonOption = False) -> None:
    """Write a settings file with every setting in a comment.

    Example: ragsearch config init
    """
    from rag_search.config.template import settings_template
    from rag_search.errors import InputError

    target = _user_file() if user else Path.cwd() / _project_name()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write(settings_template())
    except FileExistsError as error:
        remedy = "Change it with: ragsearch config set KEY VALUE"
        raise InputError(f"{target} exists already.", remedy=remedy) from error
    if as_json:
        print_json({"path": str(target)})
    else:
        stdout_console().print(f"wrote {plain(str(target))}", soft_wrap=True)


@config_app.command("set")
def set_value(
    key: Annotated[str, typer.Argument(help="Dotted name, as `config show` prints it.")],
    value: Annotated[str, typer.Argument(help="The value; `-` for text that begins with a dash goes after `--`.")],
    user: UserOption = False,
    as_json: JsonOption = False,
) -> None:
    """Change one setting; comments of the file stay.

    The file is the project's, or with --user the user's.

    Example: ragsearch config set search.top_k 10
    """
    from rag_search.config.editing import set_in_file

    target = _user_file() if user else _project_file(load_config())
    set_in_file(target, key, value)
    if as_json:
        print_json({"path": str(target), "key": key, "value": value})
    else:
        stdout_console().print(f"{plain(key)} = {plain(value)} in {plain(str(target))}", soft_wrap=True)


@config_app.command("get")
def get_value(
    key: Annotated[str, typer.Argument(help="Dotted name, as `config show` prints it.")], as_json: JsonOption = False
) -> None:
    """Print the value of one setting that holds here.

    Example: ragsearch config get search.top_k
    """
    from rag_search.config import flatten_settings
    from rag_search.config.loading import did_you_mean
    from rag_search.errors import ConfigError

    config = load_config()
    values = dict(flatten_settings(config.settings))
    if key not in values:
        remedy = did_you_mean(key, list(values), otherwise="All settings: ragsearch config show")
        raise ConfigError(f"unknown setting {key!r}.", remedy=remedy)
    if as_json:
        print_json({"key": key, "value": _json_value(values[key]), "origin": config.origins.get(key, "defaults")})
    else:
        sys.stdout.write("\n" if values[key] is None else f"{plain(str(values[key]))}\n")


def _project_file(config: Config) -> Path:
    """Return the settings file of the project; without one the file that `config init` would write."""
    return config.project_file or Path.cwd() / _project_name()


def _project_name() -> str:
    from rag_search.config import PROJECT_FILE

    return PROJECT_FILE


def _user_file() -> Path:
    from rag_search.config.loading import user_file

    return user_file()
