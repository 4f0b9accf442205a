"""What `ragsearch ingest --watch` waits for: a change that concerns the index, as long as it takes."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchfiles import watch

from rag_search.cli.common import talk
from rag_search.documents import IGNORE_FILES, SUFFIXES, is_ignored
from rag_search.errors import IndexLockedError, InputError
from rag_search.ingest.roots import absolute
from rag_search.text.sanitize import plain

if TYPE_CHECKING:
    import threading

LOOK_MS = 1_000  # how often it is looked whether a folder has been replaced by another one of its name


def follow(
    roots: Sequence[Path],
    sync: Callable[[], object],
    *,
    index_dir: Path,
    stop: threading.Event | None = None,
    retry_s: float = 2.0,
) -> None:
    """Call `sync` after each change under `roots` until interrupted, or until `stop` is set.

    Neither another writer nor a folder that is empty or gone for a moment ends it. What an ingest would not read
    wakes nobody, and `index_dir`, which every sync writes to, even less. Raises what else `sync` raises.
    """
    tops = absolute(roots)
    concerns = Concerns(tops, index_dir)
    try:
        while True:
            folders = [top for top in tops if top.is_dir()]
            # a file is watched by its folder: editors write another file and give it the name
            around = list(dict.fromkeys(top.parent for top in tops if top not in folders))
            watched = _identities(tops, around)
            for changes in _batches(folders, [folder for folder in around if folder.is_dir()], stop):
                if _identities(tops, around) != watched:
                    break
                if any(concerns(Path(path)) for _, path in changes):
                    _sync_patiently(sync, retry_s)
            else:
                return
            _sync_patiently(sync, retry_s)
    except KeyboardInterrupt:
        return


class Concerns:
    """Whether a change of a path may change what is in the index."""

    def __init__(self, tops: Sequence[Path], index_dir: Path) -> None:
        # some systems tell paths as given, others with links followed
        self._tops = dict.fromkeys([*tops, *(top.resolve() for top in tops)])
        self._index_dir = index_dir.resolve()

    def __call__(self, path: Path) -> bool:
        if path.resolve().is_relative_to(self._index_dir):
            return False
        return any(path == top or (path.is_relative_to(top) and _is_read(path, top)) for top in self._tops)


def _is_read(path: Path, top: Path) -> bool:
    """Whether a walk of `top` reads `path`. Of what is gone nobody knows whether it was a folder: it counts."""
    if path.is_file() and path.suffix.lower() not in SUFFIXES and path.name not in IGNORE_FILES:
        return False
    try:
        return not is_ignored(path.parent if path.name in IGNORE_FILES else path, root=top)
    except (OSError, ValueError):  # an ignore file that cannot be used: the sync will name it
        return True


def _batches(
    folders: Sequence[Path], around: Sequence[Path], stop: threading.Event | None
) -> Iterator[set[tuple[Any, str]]]:
    """Changes below the folders and in the folders around files; an empty set when there were none for a while."""

    def start(paths: Sequence[Path], *, recursive: bool) -> Iterator[set[tuple[Any, str]]]:
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
    """What tells each folder from another one of its name; None for a file, and for what is not there."""
    return [_identity(path) for path in (*tops, *around)]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return (info.st_dev, info.st_ino) if stat.S_ISDIR(info.st_mode) else None


def _sync_patiently(sync: Callable[[], object], retry_s: float) -> None:
    waiting = False
    while True:
        try:
            sync()
        except IndexLockedError as error:
            if not waiting:
                talk().print(f"{plain(error.message)} Waiting until it is done.", soft_wrap=True)
            waiting = True
            time.sleep(retry_s)
        except InputError as error:
            talk().print(f"{plain(error.message)} Waiting for the next change.", style="yellow", soft_wrap=True)
            return
        else:
            return
