"""Compare the folders with the index: what is new, changed, unchanged, gone, and what cannot be read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rag_search.corpus import Walk, walk
from rag_search.errors import InputError
from rag_search.index import FileState
from rag_search.ingestion.reports import Failure, IngestOptions, Plan


def plan_sync(
    known: Mapping[str, FileState], roots: Sequence[Path], *, base: Path, options: IngestOptions | None = None
) -> Plan:
    """Compare the folders with `known` (path to state). Reads only files whose size or mtime changed.

    Raises InputError for a root that is missing, or when no Markdown is found and `options.allow_empty` is not set:
    an unmounted folder must not empty the index.
    """
    options = options or IngestOptions()
    found = walk(roots, base=base)
    _refuse_empty(found, known, roots, options)
    failed = [Failure(problem.path, problem.reason) for problem in found.problems]
    new, changed, touched, unchanged = [], [], [], 0
    for source in found.files:
        state = known.get(source.path)
        if state is None:
            new.append(source)
        elif (state.size, state.mtime_ns) == (source.size, source.mtime_ns):
            unchanged += 1
        else:
            try:
                same = state.content_hash == _hash_file(source.absolute)
            except OSError as error:
                failed.append(Failure(source.path, f"cannot be read: {error.strerror}"))
                continue
            (touched if same else changed).append(source)
    return Plan(
        new=tuple(new),
        changed=tuple(changed),
        touched=tuple(touched),
        unchanged=unchanged + len(touched),
        removed=tuple(_gone(known, found, roots, base, options)),
        failed=tuple(failed),
    )


def _refuse_empty(found: Walk, known: Mapping[str, FileState], roots: Sequence[Path], options: IngestOptions) -> None:
    if found.files or options.allow_empty:
        return
    names = ", ".join(str(root) for root in roots)
    if found.problems:
        raise InputError(f"nothing under {names} could be read: {found.problems[0].path}: {found.problems[0].reason}.")
    kept = f" The index keeps the {len(known)} documents it has." if known else ""
    raise InputError(
        f"no Markdown files under {names}.{kept}",
        remedy="Name a folder with .md files" + (", or pass --allow-empty to remove them." if known else "."),
    )


def _gone(
    known: Mapping[str, FileState], found: Walk, roots: Sequence[Path], base: Path, options: IngestOptions
) -> Iterator[str]:
    """Known paths that are no longer there. What lies under a folder that could not be read is not gone."""
    present = {source.path for source in found.files}
    unreadable = [(base / problem.path).absolute() for problem in found.problems]
    resolved = [root.absolute().resolve() for root in roots]
    for path in sorted(known):
        place = (base / path).absolute()
        if path in present or any(place.is_relative_to(folder) for folder in unreadable):
            continue
        if options.prune or any(place.is_relative_to(root) for root in resolved):
            yield path


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
