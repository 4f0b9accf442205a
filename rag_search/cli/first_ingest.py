"""Ingest the folder of a project before its first query, if it is small."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rag_search.cli.common import stderr_console
from rag_search.cli.syncing import ingest_options, sync_once
from rag_search.cli.terminal import local_only
from rag_search.errors import IndexMissingError, InputError
from rag_search.text.amounts import count, human_bytes
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.ingest import IngestOptions

MAX_BYTES = 4_000_000  # of documents; they take a minute or two
MAX_WALK_S = 3.0  # a folder that takes longer to list is not small


def ingest_first(config: Config, missing: IndexMissingError, *, yes: bool) -> None:
    """Ingest the folder of the project, after asking on a terminal.

    Args:
        config: settings of the query, whose index is missing.
        missing: the error that says so; raised again if the folder is not ingested.
        yes: do not ask.
    """
    local_only()
    if not (yes or sys.stdin.isatty()) or config.settings.store.url:
        raise missing
    folder = config.project_file.parent if config.project_file else config.project.folder
    options = ingest_options(config)
    files, size = _measure(folder, options)
    if not files:
        raise missing
    if size > MAX_BYTES:
        what = f"{plain(str(folder))} is too large to be ingested by a query."
        raise InputError(f"{missing.message.rstrip('.')}, and {what}", remedy=missing.remedy)
    question = (
        f"There is no index yet. Ingest {plain(str(folder))} ({count(files, 'file')}, {human_bytes(size)}) first?"
    )
    if not yes and not _is_confirmed(question):
        raise missing
    _ingest(config, folder, options)


def _is_confirmed(question: str) -> bool:
    """Ask on the terminal. Raises KeyboardInterrupt if the answer is Ctrl-C or the end of input."""
    import typer  # a question of words alone comes without it

    try:
        return typer.confirm(question, default=True, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def _measure(folder: Path, options: IngestOptions) -> tuple[int, float]:
    """Return number and bytes of the documents of a folder; infinitely many bytes if it takes too long to list."""
    from rag_search.documents import walk

    if folder in (Path.home(), Path(folder.anchor)):
        return 1, float("inf")
    files, size, end = 0, 0.0, time.monotonic() + MAX_WALK_S
    for source in walk([folder], base=folder, on_problem=lambda _: None, selection=options.selection):
        files, size = files + 1, size + source.size
        if size > MAX_BYTES or time.monotonic() > end:
            return files, float("inf")
    return files, size


def _ingest(config: Config, folder: Path, options: IngestOptions) -> None:
    from rag_search.engines import factory
    from rag_search.engines.base_folder import prepared_index

    embedder = factory.make_embedder(config.settings)
    with prepared_index(config):
        report = sync_once(config, embedder, [folder], options)
    for failure in report.failed:
        stderr_console().print(plain(f"{failure.path}: {failure.reason}"), soft_wrap=True)
