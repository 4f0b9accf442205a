"""`ragsearch trust`: believe the settings of a project that came from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag_search.cli.common import print_json
from rag_search.cli.options import JsonOption
from rag_search.text.sanitize import plain


def trust(
    path: Annotated[Path, typer.Argument(help="A folder of the project, or its ragsearch.toml.")] = Path(),
    remove: Annotated[bool, typer.Option("--remove", help="Take the trust back.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Print what the trust is about, and change nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Believe the settings of a project from elsewhere.

    Those are addresses, model folders and places that its ragsearch.toml names: a checkout must not choose where
    documents, queries and keys go. Trust ends when one of these settings changes.

    Example: ragsearch trust
    """
    from rag_search.config import PROJECT_FILE, data_dir, find_project_file, sensitive_in
    from rag_search.config.trust import distrust, is_trusted
    from rag_search.config.trust import trust as record
    from rag_search.errors import InputError

    file = path if path.is_file() else find_project_file(path)
    if file is None or not path.exists():
        raise InputError(
            f"there is no {PROJECT_FILE} at or above {path.absolute()}.", remedy="Name the folder of the project."
        )
    file = file.absolute()
    sensitive = sensitive_in(file)
    if remove and not show:
        distrust(file, data=data_dir())
    elif not show:
        record(file, sensitive, data=data_dir())
    trusted = is_trusted(file, sensitive, data=data_dir())
    if as_json:
        print_json({"path": str(file), "trusted": trusted, "settings": dict(sorted(sensitive.items()))})
        return
    for key, value in sorted(sensitive.items()):
        typer.echo(plain(f"{key} = {value!r}"))
    if show:
        state = "trusted" if trusted else "not trusted"
        typer.echo(plain(f"{file}: {state if sensitive else 'sets nothing that needs trust'}"))
    elif remove:
        typer.echo(plain(f"{file} is not trusted any more"))
    else:
        typer.echo(plain(f"{file} is trusted until one of these settings changes"))
