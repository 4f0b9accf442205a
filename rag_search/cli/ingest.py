"""`ragsearch ingest`: make the index equal to the folders."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_search.cli.common import FAILED, load_config, places, stderr_console
from rag_search.cli.options import IndexOption, JsonOption, ProfileOption, QuietOption
from rag_search.cli.reports import print_plan, print_report
from rag_search.cli.syncing import ingest_options, sync_once
from rag_search.text.sanitize import visible

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.embed.base import Embedder
    from rag_search.index import FileState
    from rag_search.ingest import IngestOptions, IngestReport


def ingest(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders or files; none: those of the index.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the changes without making them.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Stay and ingest every change until interrupted.")] = False,
    only: Annotated[bool, typer.Option("--only", help="Remove documents of all other folders.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Start again, for another embedder.")] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Accept a folder without documents.")] = False,
    include: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Also read files such as '*.txt'.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="GLOB", help="Do not read files that match.")] = None,
    follow_links: Annotated[bool, typer.Option("--follow-links", help="Also follow links out of the folders.")] = False,
    workers: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Encode by Ray: ray, or ray://host:10001.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Make the index equal to the folders.

    Adds, updates and removes documents. Safe to interrupt and to repeat. Exits with 2 if a file failed; the index
    keeps its last good version.

    Example: ragsearch ingest ./docs
    """
    config = load_config(index=index, profile=profile, ingested=paths or [])
    options = ingest_options(
        config,
        include=include or (),
        exclude=exclude or (),
        follow_links=follow_links,
        prune=only,
        allow_empty=allow_empty,
    )
    roots = _roots(config, paths or [])
    if dry_run:
        _dry_run(config, roots, options, rebuild=rebuild, as_json=as_json)
        return
    from rag_search.engines import factory
    from rag_search.engines.base_folder import prepared_index

    # a watch keeps the engine loaded between syncs and releases the writer's lock
    embedder = factory.make_embedder(config.settings)
    sync = partial(_sync, config, embedder, roots, options, workers=workers, as_json=as_json, quiet=quiet)
    with prepared_index(config):
        report = sync(rebuild=rebuild)
    if watch:
        from rag_search.cli.watch import follow

        stderr_console().print(
            f"watching {visible(', '.join(str(root) for root in roots))}; Ctrl-C ends it", soft_wrap=True
        )
        follow(roots, sync, index_dir=config.index_dir, other_kinds=bool(options.selection.include))
    if report.failed:
        raise typer.Exit(FAILED)


def _roots(config: Config, paths: Sequence[Path]) -> list[Path]:
    if paths:
        return list(paths)
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import reading
    from rag_search.errors import FingerprintError, IndexCorruptError, InputError
    from rag_search.ingest import known_roots, recorded_roots

    try:
        with reading(config) as reader:
            roots = known_roots(reader, base=base_folder(config))
    except FingerprintError:  # of another version, which says so unless this run rebuilds it
        roots = recorded_roots(config.index_dir, base=base_folder(config))
    except IndexCorruptError as error:
        remedy = "Run with the folders of the index: ragsearch ingest --rebuild ./docs"
        raise InputError(error.message, remedy=remedy) from error
    if not roots:
        raise InputError("the index has no folder yet.", remedy="Run: ragsearch ingest ./docs")
    if missing := [str(root) for root in roots if not root.exists()]:
        remedy = f"To remove its documents from the index, run: ragsearch remove {shlex.join(missing)}"
        raise InputError(f"{', '.join(missing)} no longer exists.", remedy=remedy)
    return roots


def _dry_run(config: Config, roots: Sequence[Path], options: IngestOptions, *, rebuild: bool, as_json: bool) -> None:
    from rag_search.engines.base_folder import base_folder
    from rag_search.ingest import plan_sync

    base = base_folder(config)
    with _known(config, options, rebuild=rebuild) as (known, others):
        print_plan(plan_sync(known, roots, base=base, options=options, others=others), as_json=as_json)


@contextmanager
def _known(
    config: Config, options: IngestOptions, *, rebuild: bool
) -> Iterator[tuple[Iterable[tuple[str, FileState]], list[Path]]]:
    """Open the files and roots of the index; none without an index, or when it is rebuilt."""
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import reading
    from rag_search.errors import IndexMissingError
    from rag_search.ingest import known_roots, outdated

    try:
        reader = None if rebuild else reading(config)
    except IndexMissingError:
        reader = None
    if reader is None:
        yield (), []
        return
    with reader:
        yield outdated(reader.files(), reader.chunking(), options), known_roots(reader, base=base_folder(config))


def _sync(
    config: Config,
    embedder: Embedder,
    roots: Sequence[Path],
    options: IngestOptions,
    *,
    workers: str | None = None,
    rebuild: bool = False,
    as_json: bool = False,
    quiet: bool = False,
) -> IngestReport:
    """Make the index equal to the folders once, and print the report."""
    report = sync_once(config, embedder, roots, options, workers=workers, rebuild=rebuild, quiet=quiet)
    print_report(report, config, places(config), as_json=as_json, quiet=quiet)
    return report
