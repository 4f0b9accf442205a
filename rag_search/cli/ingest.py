"""`ragsearch ingest`: make the index equal to the folders."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import (
    FAILED,
    IndexOption,
    JsonOption,
    ProfileOption,
    load_config,
    places,
    stderr_console,
    stdout_console,
)
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.embed.base import Embedder
    from rag_search.index import FileState
    from rag_search.ingest import IngestOptions, IngestReport, Plan, Step
    from rag_search.render.paths import PathMapper


def ingest(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders or files; none: those of the index.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the changes without making them.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and ingest every change until interrupted.")] = False,
    only: Annotated[bool, typer.Option("--only", help="Remove documents of all other folders.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start again, for another embedder.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Accept a folder without Markdown.")] = False,
    as_json: JsonOption = False,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Make the index equal to the folders.

    Adds, updates and removes documents. Safe to interrupt and to repeat. Exits with 2 if a file failed; the index
    keeps its last good version.

    Example: ragsearch ingest ./docs
    """
    from rag_search.ingest import IngestOptions

    config = load_config(index=index, profile=profile)
    settings = config.settings.ingest
    options = IngestOptions(
        max_tokens=settings.max_tokens,
        max_bytes=int(settings.max_file_mb * 2**20),
        prune=only,
        allow_empty=allow_empty,
    )
    roots = _roots(config, paths or [])
    if dry_run:
        _dry_run(config, roots, options, rebuild=rebuild, as_json=as_json)
        return
    from rag_search.engines import factory

    # a watch keeps the engine loaded between syncs and releases the writer's lock
    embedder = factory.make_embedder(config.settings)
    report = _sync(config, embedder, roots, options, rebuild=rebuild, as_json=as_json)
    if watch:
        from rag_search.cli.watch import follow

        stderr_console().print(
            f"watching {plain(', '.join(str(root) for root in roots))}; Ctrl-C ends it", soft_wrap=True
        )
        follow(roots, lambda: _sync(config, embedder, roots, options, as_json=as_json), index_dir=config.index_dir)
    if report.failed:
        raise typer.Exit(FAILED)


def _roots(config: Config, paths: Sequence[Path]) -> list[Path]:
    if paths:
        return list(paths)
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import reading
    from rag_search.errors import IndexCorruptError, InputError
    from rag_search.ingest import known_roots

    try:
        with reading(config) as reader:
            roots = known_roots(reader, base=base_folder(config))
    except IndexCorruptError as error:
        remedy = "Run with the folders of the index: ragsearch ingest --rebuild ./docs"
        raise InputError(error.message, remedy=remedy) from error
    if not roots:
        raise InputError("the index has no folder yet.", remedy="Run: ragsearch ingest ./docs")
    if missing := [str(root) for root in roots if not root.exists()]:
        existing = shlex.join(str(root) for root in roots if root.exists()) or "./docs"
        remedy = f"To remove its documents from the index, run: ragsearch ingest {existing} --only"
        raise InputError(f"{', '.join(missing)} no longer exists.", remedy=remedy)
    return roots


def _dry_run(config: Config, roots: Sequence[Path], options: IngestOptions, *, rebuild: bool, as_json: bool) -> None:
    from rag_search.engines.base_folder import base_folder
    from rag_search.ingest import plan_sync

    known, others = ({}, []) if rebuild else _known(config, options)
    _print_plan(plan_sync(known, roots, base=base_folder(config), options=options, others=others), as_json=as_json)


def _known(config: Config, options: IngestOptions) -> tuple[dict[str, FileState], list[Path]]:
    """Return the files and roots of the index; none without an index."""
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import reading
    from rag_search.errors import IndexMissingError
    from rag_search.ingest import known_roots, outdated

    try:
        with reading(config) as reader:
            files = outdated(reader.files(), reader.chunking(), options)
            return files, known_roots(reader, base=base_folder(config))
    except IndexMissingError:
        return {}, []


def _print_plan(plan: Plan, *, as_json: bool) -> None:
    groups = {
        "new": [source.path for source in plan.new],
        "changed": [source.path for source in plan.changed],
        "removed": list(plan.removed),
        "failed": [f"{failure.path}: {failure.reason}" for failure in plan.failed],
    }
    if as_json:
        typer.echo(json.dumps({**groups, "unchanged": plan.unchanged}, ensure_ascii=False))
        return
    for name, paths in groups.items():
        for path in paths:
            typer.echo(f"{name:<8} {plain(path)}")
    counts = ", ".join(f"{len(paths)} {name}" for name, paths in groups.items())
    typer.echo(f"would change: {counts}; {plan.unchanged} unchanged")


def _sync(
    config: Config,
    embedder: Embedder,
    roots: Sequence[Path],
    options: IngestOptions,
    *,
    rebuild: bool = False,
    as_json: bool = False,
) -> IngestReport:
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import writing
    from rag_search.ingest import sync_folders

    with writing(config, embedder, rebuild=rebuild) as writer, _progress() as on_step:
        report = sync_folders(writer, embedder, roots, base=base_folder(config), options=options, on_step=on_step)
    _print_report(report, places(config), as_json=as_json)
    return report


@contextmanager
def _progress() -> Iterator[Callable[[Step], None]]:
    """Show a bar with rate and time left on a terminal; print nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.fields[documents]}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    console = stderr_console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("ingest", total=None, documents="reading", rate="")

        def on_step(step: Step) -> None:
            speed = progress.tasks[0].elapsed or 0.0
            rate = f"{step.tokens / speed:,.0f} tokens/s" if speed else ""
            progress.update(
                task,
                total=step.bytes_total,
                completed=step.bytes,
                documents=f"{step.documents}/{step.documents_total} documents",
                rate=rate,
            )

        yield on_step


def _print_report(report: IngestReport, shown: PathMapper, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(asdict(report), ensure_ascii=False))
        return
    console = stderr_console()
    for failure in report.failed:
        console.print(
            f"failed  {plain(shown.shown(failure.path))}: {plain(failure.reason)}", style="red", soft_wrap=True
        )
    for skipped in report.skipped:
        console.print(
            f"skipped {plain(shown.shown(skipped.path))}: {plain(skipped.reason)}", style="dim", soft_wrap=True
        )
    for path in report.empty:
        console.print(f"empty   {plain(shown.shown(path))}", style="yellow", soft_wrap=True)
    rate = report.tokens / report.seconds if report.seconds else 0.0
    stdout_console().print(
        f"{report.new} new, {report.changed} changed, {report.unchanged} unchanged, {report.removed} removed, "
        f"{len(report.failed)} failed; {report.chunks} chunks, {report.embedded} embedded "
        f"({report.tokens:,} tokens, {rate:,.0f} tokens/s) in {report.seconds:.1f} s",
        soft_wrap=True,
    )
