"""Addresses: one way to read them for everything that asks a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_search.config import Config, checked
from rag_search.engines.doctor import check_ports
from rag_search.engines.vllm_server.processes import RunningServer
from rag_search.errors import EngineError, InputError
from rag_search.integrations.client import http_client, search
from rag_search.runtime.http import clean_url, root_of, uses_proxy
from rag_search.runtime.model_client import Remote
from tests.support.http_server import QuietHandler, listening

ANSWERS = {"/version": b'{"version": "0.33.0"}', "/health": b"", "/v1/x": b'"fine"', "/v1/search": b'{"hits": []}'}


class Handler(QuietHandler):
    """Every server that this program asks, at once."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(200 if self.path in ANSWERS else 404)
        self.end_headers()
        self.wfile.write(ANSWERS.get(self.path, b""))

    do_POST = do_GET


@pytest.fixture
def server() -> Iterator[str]:
    """Its address, without a version."""
    with listening(Handler) as address:
        yield address


def ask_everybody(root: str, cache: Path) -> list[object]:
    """What each client of ours makes of the server: as it must, [True, "fine", [], "ok"]."""
    healthy = RunningServer("e", "m", f"{root}/v1/", 0, "", "").healthy
    remote = Remote(f"{root}/v1/", what="m", setting="embedder", pause=lambda _: None)
    sections = {"embedder": {"url": f"{root}/v1/"}, "reranker": {"url": "http://127.0.0.1:9/v1"}}
    here = Config(checked({"profile": "served", "cache_dir": cache, **sections}), {}, None)
    return [healthy, remote.post("/x", {}), search(f"{root}/", "x"), next(check_ports(here)).state]


def test_a_slash_at_the_end_changes_nothing(server: str, tmp_path: Path) -> None:
    assert ask_everybody(server, tmp_path) == [True, "fine", [], "ok"]


def test_a_proxy_is_not_asked_for_this_machine(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody listens
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    http_client.cache_clear()
    assert ask_everybody(server, tmp_path) == [True, "fine", [], "ok"]
    assert [uses_proxy(url) for url in ("http://localhost:1", "http://127.9.9.9", "http://[::1]:1/v1")] == [False] * 3
    assert [uses_proxy(url) for url in ("http://gpu-box:1", "http://10.0.0.1", "https://api.jina.ai")] == [True] * 3


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://h:1/v1", "http://h:1"),
        ("https://h/v2/", "https://h"),
        ("http://h:1", "http://h:1"),
        ("http://h/api/v1", "http://h/api"),
        ("http://h/v10", "http://h/v10"),
    ],
)
def test_the_root_of_an_address(url: str, root: str) -> None:
    assert root_of(clean_url(url)) == root


@pytest.mark.parametrize(
    "url", ["localhost:8101", "http://", "http://127.0.0.1:81o1/v1", "http://a\x00b", "http://ü..de"]
)
def test_no_address(url: str) -> None:
    with pytest.raises(EngineError, match=r"embedder\.url cannot be used"):
        Remote(url, what="x", setting="embedder")
    if "ü" not in url:
        with pytest.raises(InputError, match="address cannot be used"):
            search(url, "x")


def test_a_password_in_an_address_is_refused_and_not_printed() -> None:
    with pytest.raises(EngineError, match="user name or a password") as caught:
        Remote("https://user:hunter2@h/v1", what="x", setting="embedder")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InputError, match="user name or a password") as refused:
        search("https://user:hunter2@h", "x")
    assert "hunter2" not in str(refused.value)
