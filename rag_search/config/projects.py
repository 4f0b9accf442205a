"""Give each project its own index: a Git work tree, else the folder around what was ingested together.

    DATA/projects/NAME-HASH/project    the folder of the project, a line of text
    DATA/projects/NAME-HASH/roots      what was ingested in it, with NUL between the paths
    DATA/projects/NAME-HASH/index/     its index

The folder around two others may hold much else, such as the home folder: a search there is about another project.

A folder with a `ragsearch.toml` keeps its indexes beside that file instead; see `Config.index_dir`.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rag_search.errors import InputError
from rag_search.runtime.files import is_file, is_there, write_atomically

PROJECTS, RECORD, ROOTS, INDEX = "projects", "project", "roots", "index"
NAMED = 4  # projects that an error names


@dataclass(frozen=True, slots=True)
class Project:
    """A folder and the place of its index in the user's data folder.

    ingested: absolute paths of the ingest that this is the project of.
    """

    folder: Path
    home: Path
    ingested: tuple[Path, ...] = field(default=(), compare=False)

    @classmethod
    def of(cls, folder: Path, data: Path) -> Project:
        """Return the project of a folder; its name and a hash of its path make the place unique."""
        folder = Path(os.path.normpath(folder))
        name = re.sub(r"[^A-Za-z0-9]+", "-", folder.name).strip("-").lower()[:40] or "root"
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        return cls(folder, data / PROJECTS / f"{name}-{digest}")

    @property
    def index_dir(self) -> Path:
        """The folder of its index."""
        return self.home / INDEX

    @property
    def is_known(self) -> bool:
        """Whether anything was ingested there."""
        return is_file(self.home / RECORD)

    def is_about(self, place: Path) -> bool:
        """Return whether `place` is in what was ingested, or above it. A project of an older version is about all."""
        roots = self._roots()
        return not roots or any(place.is_relative_to(root) or root.is_relative_to(place) for root in roots)

    def record(self) -> None:
        """Write down the folder, so that a search from there finds the index, and what is ingested."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (roots := self._roots()) or not self.is_known:
            every = sorted({*roots, *self.ingested})
            write_atomically(self.home / ROOTS, b"\0".join(map(os.fsencode, every)))
        (self.home / RECORD).write_bytes(os.fsencode(self.folder) + b"\n")

    def forget(self) -> None:
        """Undo `record`."""
        for name in (RECORD, ROOTS):
            (self.home / name).unlink(missing_ok=True)

    def _roots(self) -> list[Path]:
        """Return what was ingested; nothing if it is not written down."""
        content = _read(self.home, ROOTS)
        return [Path(os.fsdecode(path)) for path in content.split(b"\0")] if content else []


def known_projects(data: Path) -> Iterator[Project]:
    """Yield the projects in which something was ingested, by folder."""
    homes = sorted((data / PROJECTS).iterdir()) if (data / PROJECTS).is_dir() else []
    projects = (Project(Path(os.fsdecode(_read(home).rstrip(b"\n"))), home) for home in homes if _read(home))
    yield from sorted(projects, key=lambda project: project.folder)


def recorded_folder(home: Path) -> Path | None:
    """Return the folder of the project that has its index in `home`; None if it is not written down."""
    content = _read(home).rstrip(b"\n")
    return Path(os.fsdecode(content)) if content else None


def _read(home: Path, name: str = RECORD) -> bytes:
    try:
        return (home / name).read_bytes()
    except OSError:
        return b""


def project_at(cwd: Path, data: Path) -> Project:
    """Return the project that a search in the folder `cwd` is about.

    In order: the nearest folder at or above it with an index or a Git work tree; the only project below it; the folder
    itself, which has no index yet.

    Raises:
        InputError: several projects are below the folder, and none is at or above it.
    """
    if project := _around(cwd, data):
        return project
    below = [project for project in known_projects(data) if project.folder.is_relative_to(cwd)]
    if len(below) > 1:
        names = ", ".join(str(project.folder) for project in below[:NAMED])
        more = f" and {len(below) - NAMED} more (ragsearch index list)" if len(below) > NAMED else ""
        raise InputError(
            f"{len(below)} projects below this folder have an index: {names}{more}.",
            remedy="Search in the folder of one of them, or ingest them together.",
        )
    return below[0] if below else Project.of(cwd, data)


def project_of(paths: Sequence[Path], cwd: Path, data: Path) -> Project:
    """Return the project that paths are ingested into.

    In order: the nearest Git work tree around all of them, or folder with an index; else the one folder that has them
    all.
    """
    absolute = [Path(os.path.abspath(cwd / path)) for path in paths]  # noqa: PTH100 (`absolute` keeps `..`)
    folders = [path if path.is_dir() else path.parent for path in absolute]
    common = Path(os.path.commonpath(folders))
    return replace(_around(common, data) or Project.of(common, data), ingested=tuple(absolute))


def _around(place: Path, data: Path) -> Project | None:
    """Return the project of the nearest folder at or above `place` with a Git work tree, or an index about it."""
    for folder in (place, *place.parents):
        project = Project.of(folder, data)
        if is_there(folder / ".git") or (project.is_known and project.is_about(place)):
            return project
    return None


def ignore_indexes(indexes: Path) -> None:
    """Keep Git away from the folder of a project's indexes. A file that is there already stays."""
    indexes.mkdir(parents=True, exist_ok=True)
    try:
        with (indexes / ".gitignore").open("x", encoding="utf-8") as file:
            file.write("*\n")
    except OSError:  # it exists, or the folder is not ours to write
        return
