"""Gather the commands; they live in the modules beside this one."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, NoReturn

import typer

from rag_search import __version__
from rag_search.cli import running
from rag_search.cli.commands import ALIASES, COMMANDS, GROUPS, Command
from rag_search.cli.common import Color, set_color
from rag_search.cli.options import ColorOption
from rag_search.cli.running import run_and_exit

UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # click's, which typer does not export
HELP = "Put the passage that answers a question first, over any folder of documents."
COMPLETE = "_RAGSEARCH_COMPLETE"  # set by a shell that completes
EPILOG = 'Start with: ragsearch ingest ./docs, then: ragsearch query "how do I ..."'


def make_app(only: str | None = None, *, names_only: bool = False) -> typer.Typer:
    """Return the command line.

    only: leave out all commands but one; building each takes a millisecond. names_only: list all commands, import none:
    for the help of the root.
    """
    app = typer.Typer(
        name="ragsearch",
        help=HELP,
        epilog=EPILOG,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # its help pages import half of rich, 60 ms
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(root)
    for name, command in COMMANDS.items():
        if only in (None, name):
            function = _unused if names_only else _imported(name, command)
            app.command(name, help=command.summary if names_only else None, hidden=name in ALIASES)(function)
    for name, command in GROUPS.items():
        if names_only:
            app.command(name, help=command.summary)(_unused)
        elif only in (None, name):
            app.add_typer(_imported(name, command), name=name)
    return app


def _unused() -> None:
    """Stand for a command that is only listed."""


def _imported(name: str, command: Command) -> Any:
    """Return the function or the group of a command."""
    return getattr(import_module(f"rag_search.cli.{command.module}"), command.function or name)


def _print_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"ragsearch {__version__}")
        raise typer.Exit


def root(
    context: typer.Context,
    color: ColorOption = Color.auto,
    _version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    trust_project: Annotated[
        bool, typer.Option("--trust", help="Believe the ragsearch.toml of this folder, this time.")
    ] = False,
) -> None:
    """Put the passage that answers a question first, over any folder of documents."""
    set_color(color)
    if trust_project:
        os.environ["RAGSEARCH_TRUST"] = "1"
    if context.invoked_subcommand is None:
        if sys.stdin.isatty() and sys.stdout.isatty() and find_spec("textual"):
            from rag_search.cli.live import live

            live()
        typer.echo(context.get_help())


def main() -> NoReturn:
    """Run the command in `sys.argv` and exit."""
    run_and_exit(_run_command)


def run() -> NoReturn:
    """Run the command in `sys.argv` as `main` does, but end by SystemExit."""
    running.run(_run_command)


def _run_command() -> int:
    """Run the command in `sys.argv` and return its exit code; a usage error becomes an InputError."""
    first = sys.argv[1] if len(sys.argv) > 1 else ""
    names_only = first in ("", "-h", "--help") and COMPLETE not in os.environ  # a shell also asks for flags
    app = make_app(first if first in COMMANDS or first in GROUPS else None, names_only=names_only)
    try:
        code = app(prog_name="ragsearch", standalone_mode=False)
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich and typer exit with 1, which means "nothing found"
            raise stop.__context__ from None
        raise
    except typer.Abort:
        raise KeyboardInterrupt from None
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command
            typer.echo(str(error))
            return 0
        from rag_search.cli.usage import as_input_error

        raise as_input_error(error, sys.argv[1:], [*COMMANDS, *GROUPS]) from error
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    main()
