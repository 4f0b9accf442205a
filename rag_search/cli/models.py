"""`ragsearch models`: which models are known, getting one from a hub, and checking it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rag_search.cli.common import FAILED, load_config, print_json, stderr_console, stdout_console
from rag_search.cli.options import JsonOption
from rag_search.text.amounts import human_bytes
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.engines.models.known import KnownModel

models_app = typer.Typer(help="Get rerankers in ONNX from a hub. Nothing is fetched otherwise.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="OWNER/NAME, as the hub writes it.")]
Place = Annotated[str, typer.Argument(help="OWNER/NAME, or the path of a folder or an .onnx file.")]
Revision = Annotated[str | None, typer.Option(help="Commit, tag or branch; else the one of the table, or main.")]
File = Annotated[str | None, typer.Option(help="The network, such as onnx/model.onnx; else chosen.")]


@models_app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """Print the models that are known, and which are here.

    Example: ragsearch models list
    """
    from rag_search.engines.models.known import KNOWN_MODELS
    from rag_search.engines.models.local import find_folder

    cache_dir = load_config().settings.cache_dir
    folders = {model.name: find_folder(model.name, cache_dir) for model in KNOWN_MODELS}
    if as_json:
        print_json([_facts(model, folders[model.name]) for model in KNOWN_MODELS])
        return
    for model in KNOWN_MODELS:
        size = f"{model.megabytes} MB" if model.megabytes else "size unknown until got"
        state = "here" if folders[model.name] else "not here"
        line = f"{model.name}  ({model.kind}, {model.licence}, {model.parameters} parameters, {size}; {state})"
        stdout_console().print(line, soft_wrap=True)
        if model.note:
            stdout_console().print(f"    {model.note}", soft_wrap=True)


def _facts(model: KnownModel, folder: Path | None) -> dict[str, Any]:
    """Return a row of the table for JSON; what is unknown is null."""
    return {
        "name": model.name,
        "kind": model.kind,
        "licence": model.licence,
        "parameters": model.parameters,
        "revision": model.revision or None,
        "file": model.graph or None,
        "megabytes": model.megabytes,
        "longest": model.longest,
        "prompts": model.prompts,
        "files": {path: asdict(pin) for path, pin in model.pins.items()} or None,
        "note": model.note,
        "path": str(folder) if folder else None,
    }


@models_app.command("get")
def get(
    name: Name,
    revision: Revision = None,
    file: File = None,
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing; fail if it is not here.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch a model from the hub into the cache, and check every file.

    HF_ENDPOINT names a mirror. A download that was interrupted goes on where it stopped.

    Example: ragsearch models get Horizon-Labs/multilingual-reranker-small
    """
    from rag_search.engines.models.getting import get_model

    cache_dir = load_config().settings.cache_dir
    with _progress(is_quiet=as_json) as on_bytes:
        folder = get_model(name, cache_dir, revision=revision, graph=file, offline=offline, on_bytes=on_bytes)
    if as_json:
        print_json({"name": name, "path": str(folder)})
        return
    stdout_console().print(plain(str(folder)), soft_wrap=True)
    stderr_console().print(f"check it: ragsearch models verify {plain(name)}", soft_wrap=True)


@models_app.command("path")
def path(name: Name, as_json: JsonOption = False) -> None:
    """Print the folder of a model that is here.

    Example: ragsearch models path Horizon-Labs/multilingual-reranker-small
    """
    from rag_search.engines.models.getting import get_model

    folder = get_model(name, load_config().settings.cache_dir, offline=True)
    if as_json:
        print_json({"name": name, "path": str(folder)})
    else:
        stdout_console().print(plain(str(folder)), soft_wrap=True)


@models_app.command("verify")
def verify(model: Place, as_json: JsonOption = False) -> None:
    """Compare the files of a model with their digests, load it, and ask it known answers.

    Exits with 2 if one is wrong.

    Example: ragsearch models verify Horizon-Labs/multilingual-reranker-small
    """
    from rag_search.engines.models.checking import verify_model

    findings = verify_model(model, load_config().settings.cache_dir)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            stdout_console().print(plain(f"{finding.state:<5}{finding.check:<8}{finding.detail}"), soft_wrap=True)
            if finding.remedy:
                stdout_console().print(plain(f"     {finding.remedy}"), soft_wrap=True)
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(FAILED)


@contextmanager
def _progress(*, is_quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show on stderr how far each file is: a bar on a terminal, a line a file elsewhere."""
    console = stderr_console()
    if is_quiet:
        yield lambda *_: None
    elif not console.is_terminal:
        yield _line_for_each_file()
    else:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), DownloadColumn(), TimeRemainingColumn())
        tasks: dict[str, Any] = {}
        with Progress(*columns, console=console) as progress:

            def show(path: str, done: int, size: int) -> None:
                if path not in tasks:
                    tasks[path] = progress.add_task(path, total=size)
                progress.update(tasks[path], completed=done)

            yield show


def _line_for_each_file() -> Callable[[str, int, int], None]:
    """Return a callback that prints a file once it is complete."""
    printed: set[str] = set()

    def show(path: str, done: int, size: int) -> None:
        if done == size and path not in printed:
            printed.add(path)
            stderr_console().print(plain(f"{path}: {human_bytes(size)}"), soft_wrap=True)

    return show
