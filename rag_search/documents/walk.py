"""Find the files under some folders that have a known format."""

from __future__ import annotations

import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from rag_search.documents.formats import FORMATS, OFFICE_SUFFIXES
from rag_search.documents.found import SkippedPath, SourceFile
from rag_search.documents.ignore import Ignored, ignored_above, is_virtual_environment, places_around
from rag_search.documents.selection import Selection
from rag_search.errors import DISTRIBUTION, InputError

NAMED_SUFFIXES = frozenset(FORMATS)
SUFFIXES = NAMED_SUFFIXES - {".txt"}  # only when it is named: folders are full of robots.txt and LICENSE.txt


class _Entry(NamedTuple):
    """An absolute path to visit, and the ignore rules of its folder."""

    place: str
    rules: Ignored
    is_folder: bool
    is_link: bool = False


def walk(
    roots: Sequence[Path],
    *,
    base: Path,
    on_problem: Callable[[SkippedPath], None],
    selection: Selection = Selection(),  # noqa: B008 (frozen)
    unread: Counter[str] | None = None,
) -> Iterator[SourceFile]:
    """Yield the files under `roots` (folders or single files), each once, by root, folder and name.

    Skipped are hidden entries, `node_modules`, virtual environments, and what `.gitignore` or `.ragsearchignore`
    excludes in the folder, in one above it, or in the Git work tree around the root. Symbolic links are followed after
    all real files, so that a file with two paths keeps its real one; one that leads out of all roots and their Git work
    trees only with `selection.follow_links`.

    selection: patterns of files to read besides those of known kinds, or not to read.
    unread: filled with the number of files of other kinds, by suffix.

    Raises:
        InputError: a root does not exist, or a pattern cannot be used; before the first file.
    """
    selection.check()
    tops = [_absolute(root) for root in roots]
    for root in tops:
        if not root.exists():
            raise _missing(root)
    return _Walk(_absolute(base), on_problem, selection, Counter() if unread is None else unread).files(tops)


class _Walk:
    """The state of one walk: folders and files visited, and links still to follow."""

    def __init__(
        self, base: Path, on_problem: Callable[[SkippedPath], None], selection: Selection, unread: Counter[str]
    ) -> None:
        self.on_problem, self.selection, self.unread = on_problem, selection, unread
        self._base = str(base)
        self._above = self._base.rstrip("/") + "/"
        self.seen: set[int | str] = set()  # one number a file: a third of the memory of a pair
        self.links: deque[_Entry] = deque()
        self._allowed: list[Path] = []  # where links may lead: the roots and their Git work trees

    def files(self, roots: Sequence[Path]) -> Iterator[SourceFile]:
        """Yield the files under `roots`, then those behind links."""
        self._allowed = [place for root in roots for place in places_around(root)]
        for root in roots:
            yield from self._below(self._top(root))
        while self.links:
            yield from self._below(self._followed(self.links.popleft()))

    def _below(self, tops: Sequence[_Entry]) -> Iterator[SourceFile]:
        waiting = list(tops)  # an explicit stack: folders can be nested deeper than Python calls
        while waiting:
            entry = waiting.pop()
            if entry.is_folder:
                waiting.extend(reversed(self._children(entry)))
            elif file := self._file(entry.place):
                yield file

    def _top(self, root: Path) -> list[_Entry]:
        if not root.is_dir():
            if root.suffix.lower() in NAMED_SUFFIXES:
                return [_Entry(str(root), Ignored(), is_folder=False)]
            if self.selection.includes(self._stored(str(root))):
                return [_Entry(str(root), Ignored(), is_folder=False)]
            if root.suffix.lower() in OFFICE_SUFFIXES:
                self._report(root, f"needs an extra. Run: pip install '{DISTRIBUTION}[office]'", failed=True)
                return []
            kinds = " ".join(sorted(NAMED_SUFFIXES))
            self._report(root, f"is not of a known kind ({kinds}); --include reads it as text", failed=True)
            return []
        try:
            return [_Entry(str(root), ignored_above(root), is_folder=True)]
        except (OSError, ValueError) as error:
            self._report(root, f"an ignore file above it cannot be used: {error}", failed=True)
            return []

    def _children(self, entry: _Entry) -> list[_Entry]:
        """Return the entries of a folder to visit, sorted by name; links are kept for later."""
        folder = Path(entry.place)
        try:
            if not self._is_new(entry.place, folder.stat()):
                return []
            rules = entry.rules.inside(folder)
            with os.scandir(entry.place) as entries:
                children = sorted(entries, key=lambda child: child.name)
        except (OSError, ValueError) as error:  # ValueError: an ignore file that is not UTF-8, or a bad pattern
            self._report(folder, f"the folder cannot be read: {_reason(error)}", failed=True)
            return []
        visits = [visit for child in children if (visit := self._visited(child, rules))]
        self.links.extend(visit for visit in visits if visit.is_link)
        return [visit for visit in visits if not visit.is_link]

    def _visited(self, child: os.DirEntry[str], rules: Ignored) -> _Entry | None:
        path = child.path
        try:
            is_folder = child.is_dir()
        except OSError:  # a link to itself: looked at again when links are followed
            is_folder = False
        suffix = _suffix(child.name)
        if not is_folder and suffix not in SUFFIXES and not self.selection.includes(self._stored(path)):
            if not child.name.startswith("."):
                self.unread[suffix or "no suffix"] += 1
            return None
        if self.selection.exclude and self.selection.excludes(self._stored(path), is_folder=is_folder):
            return None
        if rules.covers(path, is_folder=is_folder) or (is_folder and is_virtual_environment(Path(path))):
            return None
        return _Entry(path, rules, is_folder, child.is_symlink())

    def _followed(self, link: _Entry) -> list[_Entry]:
        path = Path(link.place)
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # RuntimeError: a link to itself, up to Python 3.12
            self._report(path, f"is a link that leads nowhere: {_reason(error)}", failed=True)
            return []
        here = path.parent.resolve()
        if target == here or target in here.parents:
            self._report(path, f"is a link in a circle, to {target}", failed=False)
            return []
        if not self.selection.follow_links and not any(target.is_relative_to(top) for top in self._allowed):
            self._report(path, f"is a link out of what is ingested, to {target}; --follow-links reads it", failed=False)
            return []
        if not link.is_folder and not self._is_kind(target):
            self._report(path, f"is a link to a file of another kind, {target}", failed=False)
            return []
        return [link]

    def _is_kind(self, target: Path) -> bool:
        """Return whether the file behind a link would be read under its own name."""
        return target.suffix.lower() in NAMED_SUFFIXES or self.selection.includes(self._stored(str(target)))

    def _file(self, place: str) -> SourceFile | None:
        try:
            info = os.stat(place)  # noqa: PTH116 (a Path for each file takes half the time of a walk)
        except FileNotFoundError:
            self._report(place, "vanished while the folder was read", failed=False)
            return None
        except OSError as error:
            self._report(place, f"cannot be read: {_reason(error)}", failed=True)
            return None
        if not stat.S_ISREG(info.st_mode):
            self._report(place, "is not a regular file", failed=True)
        elif not (place.isascii() or _is_unicode(place)):
            self._report(place, "has a name that is not UTF-8", failed=True)
        elif self._is_new(place, info):
            return SourceFile(self._stored(place), place, info.st_size, info.st_mtime_ns)
        return None

    def _is_new(self, place: str, info: os.stat_result) -> bool:
        """Return whether this is the first visit under any name. Some file systems have no inode numbers."""
        identity = info.st_dev << 64 | info.st_ino if info.st_ino else place
        if identity in self.seen:
            return False
        self.seen.add(identity)
        return True

    def _stored(self, place: str) -> str:
        return "." if place == self._base else place.removeprefix(self._above)

    def _report(self, place: Path | str, message: str, *, failed: bool) -> None:
        name = self._stored(str(place)).encode("utf-8", "backslashreplace").decode("utf-8")
        self.on_problem(SkippedPath(name, message, failed))


def _absolute(path: Path) -> Path:
    """Return an absolute path without `..`. Links stay: a document has the name that its owner uses."""
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (Path.absolute keeps `..`, resolve follows links)


def _is_unicode(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _suffix(name: str) -> str:
    """Return the suffix of a file's name as `Path.suffix` does, in lower case."""
    dot = name.rfind(".")
    return name[dot:].lower() if 0 < dot < len(name) - 1 else ""


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _missing(root: Path) -> InputError:
    """Return the error for a missing root, with names near the first missing part of its path."""
    part = root
    while not part.parent.exists():
        part = part.parent
    siblings = [entry.name for entry in part.parent.iterdir()] if os.access(part.parent, os.R_OK | os.X_OK) else []
    lower = {name.lower(): name for name in sorted(siblings)}
    near = [lower[name] for name in get_close_matches(part.name.lower(), sorted(lower), n=3, cutoff=0.6)]
    remedy = f"Did you mean {' or '.join(str(part.parent / name) for name in near)}?" if near else ""
    return InputError(f"{root} does not exist.", remedy=remedy or f"List the folder: ls {part.parent}")
