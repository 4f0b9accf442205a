"""`ragsearch store`: copy an index between this machine and a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated

import typer

from rag_search.cli.common import load_config, print_json, stderr_console, stdout_console
from rag_search.cli.options import JsonOption
from rag_search.text.amounts import count
from rag_search.text.sanitize import plain

store_app = typer.Typer(help="Copy an index between this machine and a database.", no_args_is_help=True)

Place = Annotated[
    str, typer.Argument(help="Index name, path/, `.` of this project, or postgresql://host/database#NAME.")
]


@store_app.command("copy")
def copy(
    source: Place,
    target: Place,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Empty the target first.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make the index TARGET equal to SOURCE, without asking a model. Safe to interrupt and to repeat.

    A password is taken from ~/.pgpass or PGPASSWORD: whatever is on a command line, other users can read.

    Example: ragsearch store copy . postgresql://db.example/search
    """
    from rag_search.engines.open import config_at, reading, writing_as
    from rag_search.errors import InputError
    from rag_search.index.copying import copy_store

    config = load_config()
    source_config, target_config = config_at(config, source), config_at(config, target)
    if source_config.index_place == target_config.index_place:
        raise InputError(f"{target_config.index_place} cannot be copied to itself.", remedy="Name another target.")
    with (
        reading(source_config) as reader,
        writing_as(target_config, reader.manifest, rebuild=rebuild) as writer,
        _bar() as show,
    ):
        report = copy_store(reader, writer, on_commit=show)
    if as_json:
        print_json(asdict(report))
        return
    documents = count(report.copied, "document")
    stdout_console().print(
        plain(
            f"{documents} copied ({count(report.chunks, 'chunk')}), {report.kept} unchanged, {report.removed} removed:"
            f" {target_config.index_place}"
        ),
        soft_wrap=True,
    )


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    """Show the progress on a terminal; print nothing elsewhere."""
    from rich.progress import Progress

    console = stderr_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("copying", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
