"""What a walk finds: files to read, and paths that it skipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple


class SourceFile(NamedTuple):
    """A file to index. A tuple: a sync makes one for each file, and a data class takes twice the time.

    path: as in `records.Document.path`. place: absolute path to read. mtime_ns: nanoseconds since the epoch.
    """

    path: str
    place: str
    size: int
    mtime_ns: int

    @property
    def absolute(self) -> Path:
        """Where to read the file. Made on demand: a Path for each file would take half the time of a sync."""
        return Path(self.place)


@dataclass(frozen=True, slots=True)
class SkippedPath:
    """A file or a whole folder that was skipped.

    path: as stored.
    failed: the corpus is incomplete without it (unreadable, broken); a link in a circle is skipped by choice.
    """

    path: str
    message: str
    failed: bool
