"""A server with the page over a small index, its engines predictable: python -m tests.ui.server FOLDER [KEY]

Prints its URL on the first line of stdout. A process of its own, so that nothing of Gradio reaches the tests' own.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn

from rag_search.config import load_config
from rag_search.server.app import make_app
from rag_search.server.live_searcher import LiveSearcher
from rag_search.server.ui.mount import mount_page
from tests.server.conftest import write_index
from tests.support.fakes import OverlapReranker, WordEmbedder


def main() -> None:
    """Index FOLDER/docs and serve until killed."""
    folder = Path(sys.argv[1])
    flags = {"cache_dir": str(folder / "cache"), "server.api_key": "".join(sys.argv[2:]) or None}
    config = load_config({**flags, "server.max_body_mb": 0.1}, cwd=folder)
    write_index(config, folder / "docs", WordEmbedder())
    app = make_app(LiveSearcher(config, WordEmbedder(), OverlapReranker(cutoff=0.3)), mounts=(mount_page,))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2)).run([listener])


if __name__ == "__main__":
    main()
