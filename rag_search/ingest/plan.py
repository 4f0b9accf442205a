"""Compare folders with the index: find what is new, changed, unchanged, gone or unreadable."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rag_search.documents import SkippedPath, SourceFile, walk
from rag_search.errors import InputError
from rag_search.index import OUTDATED, FileState
from rag_search.ingest.reports import LEGACY_CHUNKING, Failure, IngestOptions, Plan
from rag_search.ingest.roots import absolute


def plan_sync(
    known: Mapping[str, FileState],
    roots: Sequence[Path],
    *,
    base: Path,
    options: IngestOptions | None = None,
    others: Sequence[Path] = (),
    on_found: Callable[[int], None] = lambda _: None,
) -> Plan:
    """Compare the folders with `known` (path to state), reading only files whose size or mtime changed.

    others: roots of the index that this run does not walk; files that only they reach are kept while they exist.
    on_found: called with the number of files found so far.

    An unmounted folder must not empty the index. So unless `options.allow_empty` is set, one of several roots that has
    lost all its Markdown is a failure and keeps its documents. Raises InputError when no root has any, and for a root
    that is missing.
    """
    options = options or IngestOptions()
    problems: list[SkippedPath] = []
    unread: Counter[str] = Counter()
    files = walk(roots, base=base, on_problem=problems.append, selection=options.selection, unread=unread)
    sources = []
    for source in files:
        sources.append(source)
        on_found(len(sources))
    if not options.allow_empty:
        if not sources:
            raise _nothing_found(roots, problems, known)
        problems += _emptied(known, sources, problems, roots, base)
    plan = _compare(sources, known)
    return replace(
        plan,
        removed=tuple(_gone(known, sources, problems, roots, base, options, others)),
        failed=(*(Failure(problem.path, problem.message) for problem in problems if problem.failed), *plan.failed),
        skipped=tuple(Failure(problem.path, problem.message) for problem in problems if not problem.failed),
        unread=dict(unread.most_common()),
    )


def outdated(known: Mapping[str, FileState], chunking: str | None, options: IngestOptions) -> dict[str, FileState]:
    """Return `known`, all OUTDATED unless `chunking`, the rules recorded in the index, are those of the options."""
    if (chunking or LEGACY_CHUNKING) == options.chunking:
        return dict(known)
    return {path: replace(state, size=OUTDATED) for path, state in known.items()}


def _compare(sources: Sequence[SourceFile], known: Mapping[str, FileState]) -> Plan:
    new: list[SourceFile] = []
    changed: list[SourceFile] = []
    touched: list[SourceFile] = []
    failed: list[Failure] = []
    for source in sources:
        state = known.get(source.path)
        if state is None:
            new.append(source)
        elif (state.size, state.mtime_ns) != (source.size, source.mtime_ns):
            try:
                same = state.size == source.size and state.content_hash == _hash_file(source.absolute)
            except OSError as error:
                failed.append(Failure(source.path, f"cannot be read: {error.strerror}"))
                continue
            (touched if same else changed).append(source)
    unchanged = len(sources) - len(new) - len(changed) - len(failed)
    return Plan(tuple(new), tuple(changed), tuple(touched), unchanged, failed=tuple(failed))


def _nothing_found(
    roots: Sequence[Path], problems: Sequence[SkippedPath], known: Mapping[str, FileState]
) -> InputError:
    names = ", ".join(str(root) for root in roots)
    kept = f" The index keeps its {_documents(len(known))}." if known else ""
    if problems:
        return InputError(f"nothing under {names} can be read: {problems[0].path}: {problems[0].message}.{kept}")
    remedy = "Name a folder with .md files" + (", or pass --allow-empty to remove them." if known else ".")
    return InputError(f"no Markdown files under {names}.{kept}", remedy=remedy)


def _emptied(
    known: Mapping[str, FileState],
    sources: Sequence[SourceFile],
    problems: Sequence[SkippedPath],
    roots: Sequence[Path],
    base: Path,
) -> Iterator[SkippedPath]:
    """Yield the root folders without a source under which the index has documents."""
    reported = {base / problem.path for problem in problems}
    for top in dict.fromkeys(absolute(roots)):
        if top in reported or not top.is_dir() or _holds(top, (source.absolute for source in sources)):
            continue
        if lost := sum((base / path).is_relative_to(top) for path in known):
            message = f"has no Markdown any more. The index keeps its {_documents(lost)}; --allow-empty removes them"
            yield SkippedPath(
                (top.relative_to(base) if top.is_relative_to(base) else top).as_posix(), message, failed=True
            )


def _holds(top: Path, files: Iterable[Path]) -> bool:
    """Return whether any file is under `top`, by its own name or by that of the folder it links to."""
    above = tuple(f"{folder.as_posix().rstrip('/')}/" for folder in (top, top.resolve()))
    return any(file.as_posix().startswith(above) for file in files)


def _gone(
    known: Mapping[str, FileState],
    sources: Sequence[SourceFile],
    problems: Sequence[SkippedPath],
    roots: Sequence[Path],
    base: Path,
    options: IngestOptions,
    others: Sequence[Path],
) -> Iterator[str]:
    """Yield indexed paths whose file is gone.

    Keep paths below a folder that could not be read, and paths that another root of the index still reaches.
    """
    present = {source.path for source in sources}
    unreadable = [base / problem.path for problem in problems if problem.failed]
    tops = absolute(roots)
    inner = [root for root in others if root not in tops and _is_under(root, tops)]
    for path in sorted(set(known) - present):
        place = base / path
        if _is_under(place, unreadable):
            continue
        if options.prune or (_is_under(place, tops) and not _kept_by_other_root(place, inner)):
            yield path


def _kept_by_other_root(place: Path, inner: Sequence[Path]) -> bool:
    """Return whether the file exists under a root inside those walked, which an ignore file may have hidden."""
    return _is_under(place, inner) and place.exists()


def _is_under(place: Path, folders: Iterable[Path]) -> bool:
    return any(place.is_relative_to(folder) for folder in folders)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
