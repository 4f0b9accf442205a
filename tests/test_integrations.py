"""What the retrievers send to a server, seen from the server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rag_search.errors import InputError
from rag_search.integrations.client import search


class Recording(HTTPServer):
    """Finds nothing, and keeps what it was asked: key and body."""

    asked: list[tuple[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Recording

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        key = self.headers.get("authorization", "").encode("latin-1").decode()
        self.server.asked.append((key, body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"hits": []}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Recording]:
    with Recording(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_any_key_is_sent_without_its_line_end(server: Recording) -> None:
    for key in ("secret\n", " schlüssel\r\n", "ключ"):
        assert search(server.url, "x", api_key=key) == []
    assert [key for key, _ in server.asked] == ["Bearer secret", "Bearer schlüssel", "Bearer ключ"]


def test_half_an_emoji_is_sent_as_a_question_mark(server: Recording) -> None:
    assert search(server.url, "redis \ud83d", options={"instruction": "连接 \udcff"}) == []
    assert server.asked == [("", {"query": "redis ?", "instruction": "连接 ?", "top_k": 5})]


def test_a_key_that_cannot_be_sent_is_not_printed(server: Recording) -> None:
    with pytest.raises(InputError, match="cannot be sent") as caught:
        search(server.url, "x", api_key="sk-very\r\nsecret")
    assert "very" not in str(caught.value)
    assert server.asked == []
