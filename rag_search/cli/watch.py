"""`ragsearch ingest --watch`: wait for changes that concern the index."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchfiles import watch

from rag_search.cli.common import stderr_console
from rag_search.documents import IGNORE_FILES, SUFFIXES, is_ignored
from rag_search.errors import IndexLockedError, InputError
from rag_search.ingest.roots import absolute
from rag_search.text.sanitize import one_line

if TYPE_CHECKING:
    import threading

LOOK_MS = 1_000  # how often to check whether another folder has replaced a watched one under its name
Batch = set[tuple[Any, str]]


def follow(
    roots: Sequence[Path],
    sync: Callable[[], object],
    *,
    index_dir: Path,
    other_kinds: bool = False,
    stop: threading.Event | None = None,
    retry_s: float = 2.0,
) -> None:
    """Call `sync` after each change under `roots` until interrupted.

    Survives a locked index and folders that are briefly empty or missing. Ignores changes to files that ingest skips,
    and to the index itself.

    Args:
        roots: folders and files to watch.
        sync: makes the index equal to the folders; an error that the next change cannot cure is raised.
        index_dir: folder of the index, which every sync writes to.
        other_kinds: patterns make ingest read files of any kind.
        stop: ends the watch when set.
        retry_s: seconds between attempts while another process writes.
    """
    try:
        for _ in _changes(absolute(roots), index_dir, stop, other_kinds=other_kinds):
            _sync_patiently(sync, retry_s)
    except KeyboardInterrupt:
        return


def _changes(
    tops: Sequence[Path], index_dir: Path, stop: threading.Event | None, *, other_kinds: bool
) -> Iterator[None]:
    """Yield once per change to sync, until `stop` is set. A folder that was replaced is watched anew."""
    is_relevant = ChangeFilter(tops, index_dir, other_kinds=other_kinds)
    is_replaced = True
    while is_replaced:
        is_replaced = False
        folders = [top for top in tops if top.is_dir()]
        # a file is watched through its folder: editors write a new file and rename it
        around = list(dict.fromkeys(top.parent for top in tops if top not in folders))
        watched = _identities(tops, around)
        for batch in _batches(folders, [folder for folder in around if folder.is_dir()], stop):
            is_replaced = _identities(tops, around) != watched
            if is_replaced or any(is_relevant(Path(path)) for _, path in batch):
                yield
            if is_replaced:
                break


class ChangeFilter:
    """Decides whether a change of a path may change the index."""

    def __init__(self, tops: Sequence[Path], index_dir: Path, *, other_kinds: bool = False) -> None:
        # some systems report paths as given, others with links resolved
        self._tops = dict.fromkeys([*tops, *(top.resolve() for top in tops)])
        self._index_dir = index_dir.resolve()
        self._other_kinds = other_kinds

    def __call__(self, path: Path) -> bool:
        """Return whether ingest would read `path`, or would have before it was deleted."""
        if path.resolve().is_relative_to(self._index_dir):
            return False
        return any(
            path == top or (path.is_relative_to(top) and _is_read(path, top, other_kinds=self._other_kinds))
            for top in self._tops
        )


def _is_read(path: Path, top: Path, *, other_kinds: bool) -> bool:
    """Return whether a walk of `top` reads `path`. A deleted path counts: it may have been a folder."""
    is_known = other_kinds or path.suffix.lower() in SUFFIXES or path.name in IGNORE_FILES
    if path.is_file() and not is_known:
        return False
    try:
        return not is_ignored(path.parent if path.name in IGNORE_FILES else path, root=top)
    except (OSError, ValueError):  # an unusable ignore file: the sync will name it
        return True


def _batches(folders: Sequence[Path], around: Sequence[Path], stop: threading.Event | None) -> Iterator[Batch]:
    """Yield changes below `folders` and directly in `around`; an empty set after `LOOK_MS` without any."""

    def start(paths: Sequence[Path], *, recursive: bool) -> Iterator[Batch]:
        return watch(
            *paths,
            recursive=recursive,
            watch_filter=None,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            stop_event=stop,
        )

    watches = [start(folders, recursive=True)] if folders or not around else []
    watches += [start(around, recursive=False)] if around else []
    for batch in zip(*watches, strict=False):
        yield set().union(*batch)


def _identities(tops: Sequence[Path], around: Sequence[Path]) -> list[tuple[int, int] | None]:
    """Return the identity of each folder: another folder under its name has another one."""
    return [_identity(path) for path in (*tops, *around)]


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of a folder; None for a file and for a missing path."""
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_dev, info.st_ino) if stat.S_ISDIR(info.st_mode) else None


def _sync_patiently(sync: Callable[[], object], retry_s: float) -> None:
    """Call `sync`; wait while the index is locked, and leave bad input to the next change."""
    is_waiting = False
    while True:
        try:
            sync()
        except IndexLockedError as error:
            if not is_waiting:
                stderr_console().print(f"{one_line(error.message)} Waiting until it is done.", soft_wrap=True)
            is_waiting = True
            time.sleep(retry_s)
        except InputError as error:
            message = f"{one_line(error.message)} Waiting for the next change."
            stderr_console().print(message, style="yellow", soft_wrap=True)
            return
        else:
            return
