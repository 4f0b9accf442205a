"""One index and one server for all clients. Every test here is slow and needs its client: see .ci/clients.sh."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.served import Project
from tests.support.project import DOCS

pytest.importorskip("fastapi", reason="the serve extra is not installed")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The documents of the command line's tests, indexed."""
    folder = tmp_path_factory.mktemp("project")
    for name, text in DOCS.items():
        (folder / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "docs" / name).write_text(text, "utf-8")
    (folder / "ragsearch.toml").write_text("", "utf-8")
    cache = tmp_path_factory.mktemp("cache")
    places = {"RAGSEARCH_CACHE_DIR": str(cache), "XDG_CONFIG_HOME": str(cache), "NO_PROXY": "127.0.0.1"}
    project = Project(folder, os.environ | places)
    project.run("ingest", "docs")
    return project


@pytest.fixture(scope="session")
def url(project: Project) -> Iterator[str]:
    """Address of a running `ragsearch serve` without a key."""
    with project.serving("serve", "--log-file", str(Path(project.folder) / "log.jsonl")) as address:
        yield address


@pytest.fixture(scope="session")
def guarded(project: Project) -> Iterator[str]:
    """Address of a running `ragsearch serve` whose key is `secret`."""
    with project.serving("serve", "--api-key", "secret", "--log-file", str(project.folder / "log2.jsonl")) as address:
        yield address
