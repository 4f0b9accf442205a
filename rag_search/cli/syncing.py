"""What every command that ingests does: read the options of the settings, and make the index equal to folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rag_search.cli.progress import ingest_progress

if TYPE_CHECKING:
    from rag_search.config import Config
    from rag_search.embed.base import Embedder
    from rag_search.ingest import IngestOptions, IngestReport


def ingest_options(
    config: Config,
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    follow_links: bool = False,
    prune: bool = False,
    allow_empty: bool = False,
) -> IngestOptions:
    """Return the options of the settings with what a command adds to them."""
    from rag_search.documents import Selection
    from rag_search.ingest import IngestOptions

    settings = config.settings.ingest
    patterns = (*settings.include, *include), (*settings.exclude, *exclude)
    return IngestOptions(
        max_tokens=settings.max_tokens,
        max_bytes=int(settings.max_file_mb * 2**20),
        prune=prune,
        allow_empty=allow_empty,
        selection=Selection(*patterns, follow_links=follow_links or settings.follow_links),
    )


def sync_once(
    config: Config,
    embedder: Embedder,
    roots: Sequence[Path],
    options: IngestOptions,
    *,
    workers: str | None = None,
    rebuild: bool = False,
    quiet: bool = False,
) -> IngestReport:
    """Make the index equal to the folders, with progress on stderr, and report what was done."""
    from rag_search.engines.base_folder import base_folder
    from rag_search.engines.open import indexed_files, writing
    from rag_search.engines.workers import make_workers
    from rag_search.ingest import require_documents, sync_folders

    base = base_folder(config)
    if rebuild:  # opening empties the index, so what cannot be ingested is an error before
        require_documents(indexed_files(config), roots, base=base, options=options)
    encoders = make_workers(config, workers) if workers else None
    with writing(config, embedder, rebuild=rebuild) as writer, ingest_progress(quiet=quiet) as progress:
        return sync_folders(
            writer,
            embedder,
            roots,
            base=base,
            options=options,
            workers=encoders,
            on_found=progress.on_found,
            on_tokens=progress.on_tokens,
            on_step=progress.on_step,
        )
