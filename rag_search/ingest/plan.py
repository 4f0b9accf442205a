"""Compare folders with the index: find what is new, changed, unchanged, gone or unreadable."""

from __future__ import annotations

import gc
import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from rag_search.documents import SkippedPath, SourceFile, walk
from rag_search.errors import InputError
from rag_search.index import OUTDATED, FileState
from rag_search.ingest.reports import LEGACY_CHUNKING, Failure, IngestOptions, Plan
from rag_search.ingest.roots import absolute
from rag_search.runtime.files import open_regular

OTHER_KINDS = 6  # named where there are no documents
Known = Iterable[tuple[str, FileState]]  # sorted by path, as a store's `files` gives them


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep Python's garbage collector from looking at the objects of a hundred thousand files again and again.

    That takes a fifth of the time and frees nothing: the objects refer to names and numbers only.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_collector_paused()
def plan_sync(
    known: Known,
    roots: Sequence[Path],
    *,
    base: Path,
    options: IngestOptions | None = None,
    others: Sequence[Path] = (),
    on_found: Callable[[int], None] = lambda _: None,
) -> Plan:
    """Compare the folders with `known`, reading only files whose size or mtime changed.

    known: paths and states, sorted by path; it is read once, so an index may be larger than memory. others: roots of
    the index that this run does not walk; files that only they reach are kept while they exist. on_found: called with
    the number of files found so far.

    An unmounted folder must not empty the index. So unless `options.allow_empty` is set, one of several roots that has
    lost all its documents is a failure and keeps its documents. Raises InputError when no root has any, and for a root
    that is missing.
    """
    options = options or IngestOptions()
    problems: list[SkippedPath] = []
    unread: Counter[str] = Counter()
    files = walk(roots, base=base, on_problem=problems.append, selection=options.selection, unread=unread)
    sources: list[SourceFile] = []
    for source in files:
        sources.append(source)
        on_found(len(sources))
    sources.sort(key=attrgetter("path"))
    if not sources and not options.allow_empty:
        raise _nothing_found(roots, problems, sum(1 for _ in known), kinds=[kind for kind, _ in unread.most_common()])
    empty = [] if options.allow_empty else _without_sources(sources, problems, roots, base)
    unreadable = [base / problem.path for problem in problems if problem.failed]
    removal = _Removal(absolute(roots), others, [*unreadable, *empty], prune=options.prune)
    lost: Counter[Path] = Counter()
    plan = _Comparison()
    for path, file, state in _merge(sources, known):
        if file is not None:
            plan.add(file, state)
        else:
            lost.update(top for top in empty if (base / path).is_relative_to(top))
            if removal.applies_to(base / path):
                plan.removed.append(path)
    emptied = [top for top in empty if lost[top]]
    problems += [_emptied(top, lost[top], base) for top in emptied]
    return Plan(
        new=tuple(plan.new),
        changed=tuple(plan.changed),
        touched=tuple(plan.touched),
        unchanged=plan.unchanged,
        removed=tuple(plan.removed),
        failed=(*(Failure(problem.path, problem.message) for problem in problems if problem.failed), *plan.failed),
        skipped=tuple(Failure(problem.path, problem.message) for problem in problems if not problem.failed),
        unread=dict(unread.most_common()),
        emptied=tuple(_name(top, base) for top in emptied),
    )


def require_documents(known: Known, roots: Sequence[Path], *, base: Path, options: IngestOptions) -> None:
    """Raise InputError if a rebuild would lose all documents of a root: it is missing, or empty as an unmounted one."""
    emptied = plan_sync(known, roots, base=base, options=options).emptied
    if emptied:
        remedy = "Mount it, or pass --allow-empty to rebuild without it."
        raise InputError(f"{emptied[0]} has no documents any more.", remedy=remedy)


def outdated(known: Known, chunking: str | None, options: IngestOptions) -> Known:
    """Return `known`, all OUTDATED unless `chunking`, the rules recorded in the index, are those of the options."""
    if (chunking or LEGACY_CHUNKING) == options.chunking:
        return known
    return ((path, state._replace(size=OUTDATED)) for path, state in known)


def _merge(sources: Sequence[SourceFile], known: Known) -> Iterator[tuple[str, SourceFile | None, FileState | None]]:
    """Yield each path of two sorted streams with what is in the folders and what is in the index."""
    files = iter(known)
    indexed = next(files, None)
    for source in sources:
        while indexed is not None and indexed[0] < source.path:
            yield indexed[0], None, indexed[1]
            indexed = next(files, None)
        if indexed is not None and indexed[0] == source.path:
            yield source.path, source, indexed[1]
            indexed = next(files, None)
        else:
            yield source.path, source, None
    while indexed is not None:
        yield indexed[0], None, indexed[1]
        indexed = next(files, None)


@dataclass
class _Comparison:
    """Sorts files by what is to be done with them."""

    new: list[SourceFile] = field(default_factory=list)
    changed: list[SourceFile] = field(default_factory=list)
    touched: list[tuple[SourceFile, str]] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    unchanged: int = 0

    def add(self, source: SourceFile, state: FileState | None) -> None:
        """Add a file that is there, with its state in the index."""
        if state is None:
            self.new.append(source)
        elif (state.size, state.mtime_ns) == (source.size, source.mtime_ns):
            self.unchanged += 1
        else:
            self._add_other(source, state)

    def _add_other(self, source: SourceFile, state: FileState) -> None:
        """Add a file whose size or mtime changed."""
        try:
            same = state.size == source.size and state.content_hash == _hash_file(source.absolute)
        except OSError as error:
            self.failed.append(Failure(source.path, f"cannot be read: {error.strerror}"))
            return
        if same:
            self.touched.append((source, state.content_hash))
            self.unchanged += 1
        else:
            self.changed.append(source)


def _nothing_found(
    roots: Sequence[Path], problems: Sequence[SkippedPath], known: int, *, kinds: Sequence[str]
) -> InputError:
    """Return the error for roots without a document. known: number of those in the index. kinds: of other files."""
    names = ", ".join(map(str, absolute(roots)))  # `.` before a full stop would read as the folder above
    kept = f" The index keeps its {_documents(known)}." if known else ""
    if problems:
        return InputError(f"nothing under {names} can be read: {problems[0].path}: {problems[0].message}.{kept}")
    others = f", only files of other kinds: {' '.join(kinds[:OTHER_KINDS])}" if kinds else ""
    remedy = "Name a folder with documents, such as .md; --include reads files of another kind as text."
    remedy += " Or pass --allow-empty to remove them." if known else ""
    return InputError(f"there are no documents under {names}{others}.{kept}", remedy=remedy)


def _without_sources(
    sources: Sequence[SourceFile], problems: Sequence[SkippedPath], roots: Sequence[Path], base: Path
) -> list[Path]:
    """Return the root folders that have no source and no problem of their own."""
    reported = {base / problem.path for problem in problems}
    return [
        top
        for top in dict.fromkeys(absolute(roots))
        if top not in reported and top.is_dir() and not _holds(top, (source.place for source in sources))
    ]


def _emptied(top: Path, lost: int, base: Path) -> SkippedPath:
    message = f"has no documents any more. The index keeps its {_documents(lost)}; --allow-empty removes them"
    return SkippedPath(_name(top, base), message, failed=True)


def _name(top: Path, base: Path) -> str:
    """Return the path of a root as the paths of documents are stored."""
    return (top.relative_to(base) if top.is_relative_to(base) else top).as_posix()


def _holds(top: Path, files: Iterable[str]) -> bool:
    """Return whether any file is under `top`, by its own name or by that of the folder it links to."""
    above = tuple(f"{folder.as_posix().rstrip('/')}/" for folder in (top, top.resolve()))
    return any(file.startswith(above) for file in files)


class _Removal:
    """Decides which documents go when their file was not found.

    Those stay that are below a folder that could not be read, and those that another root of the index still reaches.
    """

    def __init__(
        self, tops: Sequence[Path], others: Sequence[Path], unreadable: Sequence[Path], *, prune: bool
    ) -> None:
        self._tops = tops
        self._unreadable = unreadable
        self._prune = prune
        self._inner = [root for root in others if root not in tops and _is_under(root, tops)]

    def applies_to(self, place: Path) -> bool:
        """Return whether the document of this file is to be removed."""
        if _is_under(place, self._unreadable):
            return False
        return self._prune or (_is_under(place, self._tops) and not self._kept_by_other_root(place))

    def _kept_by_other_root(self, place: Path) -> bool:
        """Return whether the file exists under a root inside those walked, which an ignore file may have hidden."""
        return _is_under(place, self._inner) and place.exists()


def _is_under(place: Path, folders: Iterable[Path]) -> bool:
    return any(place.is_relative_to(folder) for folder in folders)


def _documents(count: int) -> str:
    return "1 document" if count == 1 else f"{count:,} documents"


def _hash_file(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
