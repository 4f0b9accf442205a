"""`ragsearch index` and `remove`: the indexes of this machine, and what is taken out of one."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag_search.cli.common import load_config, places, print_json, stderr_console
from rag_search.cli.options import IndexOption, JsonOption
from rag_search.text.amounts import count, human_bytes
from rag_search.text.sanitize import one_line, visible

if TYPE_CHECKING:
    from rag_search.config import Config

index_app = typer.Typer(help="The indexes of this machine.", no_args_is_help=True)


@index_app.command("list")
def list_indexes(as_json: JsonOption = False) -> None:
    """List the indexes of this machine; a star marks the one used here."""
    rows = [_row(name, folder) for name, folder in _indexes(load_config())]
    here = _here()
    if as_json:
        print_json([{**row, "is_used_here": row["index"] == here} for row in rows])
        return
    for row in rows:
        mark = "*" if row["index"] == here else " "
        size = human_bytes(row["bytes"])
        documents = "unreadable" if row["documents"] is None else count(row["documents"], "document")
        sys.stdout.write(f"{mark} {visible(row['name'])}  {documents}, {size}\n")
    if not rows:
        stderr_console().print("there is no index yet. Run: ragsearch ingest PATH")


@index_app.command("remove")
def remove_index(
    name: Annotated[str, typer.Argument(help="Folder or name, as `index list` prints it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete an index. Documents on disk stay.

    Example: ragsearch index remove ~/notes
    """
    from rag_search.errors import InputError
    from rag_search.index.store.lock import WriterLock

    wanted = {name, str(Path(name).expanduser().absolute())}
    config = load_config()
    found = [(label, folder) for label, folder in _indexes(config) if label in wanted or str(folder) in wanted]
    if not found:
        raise InputError(f"there is no index {name!r}.", remedy="Run: ragsearch index list")
    label, folder = found[0]
    if not yes and not _confirmed(f"delete the index of {label}, {folder}?"):
        raise typer.Exit(1)
    lock = WriterLock(folder)
    try:
        shutil.rmtree(folder)
    finally:
        lock.release()
    if _is_of_project(folder):
        shutil.rmtree(folder.parent)
    if as_json:
        print_json({"removed": {"name": label, "index": str(folder)}})
    else:
        sys.stdout.write(f"removed the index of {visible(label)}\n")


def remove(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders, as results show them.")],
    as_json: JsonOption = False,
    index: IndexOption = None,
) -> None:
    """Take documents out of the index. Files on disk stay.

    Example: ragsearch remove docs/old
    """
    from rag_search.engines.open import reading, writing_as
    from rag_search.errors import InputError

    config = load_config(index=index)
    shown = places(config)
    with reading(config) as reader:
        manifest, documents = reader.manifest, reader.documents()
    stored = [_as_stored(shown.named(str(path)), documents) for path in paths]
    removed = [path for path in documents if any(_is_in(path, folder) for folder in stored)]
    with writing_as(config, manifest) as writer:
        roots = writer.roots()
        kept = [root for root in roots if not any(_is_in(root, folder) for folder in stored)]
        if not removed and len(kept) == len(roots):
            names = ", ".join(map(str, paths))
            raise InputError(f"the index has no document in {names}.", remedy="Run: ragsearch list")
        writer.remove(removed)
        writer.set_roots(kept)
        writer.commit()
        writer.maintain()
    if as_json:
        print_json({"removed": [shown.shown(path) for path in removed]})
        return
    sys.stdout.write(f"removed {count(len(removed), 'document')}\n")
    inside = [path for path in stored if any(_is_in(path, root) for root in kept)]
    if inside:
        again = ", ".join(shown.printed(path) for path in inside)
        line = f"{again}: the next ingest of the folder around it adds it again, unless .ragsearchignore lists it"
        stderr_console().print(one_line(line), soft_wrap=True)


def _as_stored(name: str, documents: Sequence[str]) -> str:
    """Return a file or folder in the Unicode form that the index has it in; as it is if it has none."""
    from rag_search.index.filters import unicode_forms

    return next((form for form in unicode_forms([name]) if any(_is_in(path, form) for path in documents)), name)


def _is_in(path: str, folder: str) -> bool:
    """Return whether a stored path is the folder, or below it."""
    if folder == ".":  # documents outside of the project have absolute paths
        return not path.startswith("/")
    return path == folder or path.startswith(f"{folder}/")


def _indexes(config: Config) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of every index that is known on this machine; a folder beside them is not an index."""
    from rag_search.config import data_dir
    from rag_search.config.projects import known_projects
    from rag_search.index.store.layout import DATABASE

    for project in known_projects(data_dir()):
        if project.index_dir.is_dir():
            yield str(project.folder), project.index_dir
    homes = [data_dir() / "indexes"]
    if config.project_file:
        homes.insert(0, config.project_file.parent / "indexes")
    for home in homes:
        for folder in sorted(file.parent for file in home.glob(f"*/{DATABASE}")):
            yield str(folder) if config.project_file and home == homes[0] else folder.name, folder


def _row(name: str, folder: Path) -> dict[str, Any]:
    """Return what is known of an index; documents: None if it cannot be opened."""
    from rag_search.errors import IndexStoreError
    from rag_search.index import open_reader

    try:
        with open_reader(folder) as reader:
            documents: int | None = reader.counts.documents
    except IndexStoreError:
        documents = None
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    return {"name": name, "index": str(folder), "documents": documents, "bytes": size}


def _here() -> str | None:
    """Return the folder of the index that a search here uses; None if it is not clear which."""
    from rag_search.errors import InputError

    try:
        config = load_config()
        return config.index_place if config.settings.store.url else str(config.index_dir)
    except InputError:
        return None


def _is_of_project(folder: Path) -> bool:
    from rag_search.config import data_dir
    from rag_search.config.projects import PROJECTS

    return folder.parent.parent == data_dir() / PROJECTS


def _confirmed(question: str) -> bool:
    """Ask on a terminal. Raises InputError elsewhere."""
    from rag_search.errors import InputError

    if not sys.stdin.isatty():
        raise InputError("there is no terminal to ask on.", remedy="Pass --yes.")
    return typer.confirm(one_line(question), err=True)
