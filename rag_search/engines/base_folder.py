"""Find the folder that document paths are stored relative to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rag_search.config import PROJECT_FILE, Config, data_dir
from rag_search.config.projects import PROJECTS, ignore_indexes, recorded_folder
from rag_search.errors import IndexMissingError, InputError
from rag_search.runtime.files import is_file


def base_folder(config: Config) -> Path:
    """Return the folder below which document paths are stored relative, so that a project can move with its index.

    In order: the project that contains `indexes/NAME`; the project of an index in the data folder; the base recorded in
    the index; the project of the working directory; the index folder itself.
    """
    if config.settings.store.url:
        return _shared_base(config)
    place = Path(os.path.normpath(config.index_dir))
    home = place.parent.parent
    if place.parent.name == "indexes" and is_file(home / PROJECT_FILE):
        return home
    if place.parent == data_dir() / "indexes":
        return place
    if home == data_dir() / PROJECTS:
        return recorded_folder(place.parent) or config.project.folder
    from rag_search.index.store.base_path import read_base_path  # loads NumPy, which a query to a server does without

    return read_base_path(place) or (config.project_file.parent if config.project_file else place)


def _shared_base(config: Config) -> Path:
    """Return the base of an index in a database: the project's folder, which each machine may have elsewhere.

    Without a project: the base recorded in the index, else the working directory.
    """
    if config.project_file:
        return config.project_file.parent
    from rag_search.engines.open import reading

    with suppress(IndexMissingError), reading(config) as reader:
        return Path(reader.base() or Path.cwd())
    return Path.cwd()


@contextmanager
def prepared_index(config: Config) -> Iterator[None]:
    """Write down what an ingest leaves beside the index, its project or a .gitignore, and provide a block to ingest in.

    The project of a first ingest is forgotten if the block raises InputError: a mistyped path makes no project.
    """
    project = None
    if not config.settings.store.url:
        indexes = config.index_dir.parent
        if config.project_file and indexes == config.project_file.parent / "indexes":
            ignore_indexes(indexes)
        elif indexes.parent == data_dir() / PROJECTS:
            project = config.project
    is_first = project is not None and not project.is_known
    if project:
        project.record()
    try:
        yield
    except InputError:
        if project and is_first:
            project.forget()
        raise
