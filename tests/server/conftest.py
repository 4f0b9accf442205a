"""The real application over a small real index, with embedder and reranker that can be predicted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")

from starlette.testclient import TestClient

from rag_search.config import Config, load_config
from rag_search.engines.base_folder import base_folder
from rag_search.engines.open import writing
from rag_search.ingest import IngestOptions, sync_folders
from rag_search.server.app import make_app
from rag_search.server.live_searcher import LiveSearcher
from tests.support.fakes import OverlapReranker, WordEmbedder

DOCS = {
    "redis.md": "# Redis\n\nRedis connection timeout: raise maxTotal of the pool.\n",
    "backup.md": "# Backups\n\nRun pg_dump every night.\n",
}
MakeClient = Callable[..., TestClient]


def write_index(config: Config, folder: Path, embedder: WordEmbedder, *, rebuild: bool = False) -> None:
    with writing(config, embedder, rebuild=rebuild) as writer:
        sync_folders(writer, embedder, [folder], base=base_folder(config), options=IngestOptions(256, 2**20))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in DOCS.items():
        (docs / name).write_text(text, "utf-8")
    (tmp_path / "ragsearch.toml").write_text("", "utf-8")
    return docs


@pytest.fixture
def make_client(tmp_path: Path, folder: Path) -> Iterator[MakeClient]:
    """make_client(server settings...) -> a client of the running application."""
    with ExitStack() as stack:

        def make(
            *, indexed: bool = True, reranker: Any = None, search: Mapping[str, Any] | None = None, **server: Any
        ) -> TestClient:
            flags = {f"server.{name}": value for name, value in server.items()}
            flags |= {f"search.{name}": value for name, value in (search or {}).items()}
            config = load_config({**flags, "cache_dir": str(tmp_path / "cache")}, cwd=tmp_path)
            if indexed:
                write_index(config, folder, WordEmbedder())
            app = make_app(LiveSearcher(config, WordEmbedder(), reranker or OverlapReranker()))
            client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
            return stack.enter_context(client)

        yield make
