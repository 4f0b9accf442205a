"""What of Gradio can be reached, and by whom; what happens without it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.project import model_cache
from tests.ui.conftest import serving

__all__ = ["model_cache"]

CLOSED = [
    "gradio_api/file=/etc/passwd", "gradio_api/file=docs/redis.md", "file=/etc/passwd", "gradio_api/upload",
    "gradio_api/proxy=http://evil.example/", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/heartbeat/x",
    "gradio_api/queue/data?session_hash=x", "gradio_api/startup-events", "gradio_api/runs",
    "gradio_api/deep_link", "gradio_api/vibe-code", "gradio_api/run/search", "gradio_api/component_server",
    "monitoring", "monitoring/summary", "login", "logout", "svelte/x.js", "manifest.json", "pwa_icon", "robots.txt",
    "custom_component/x/client/component/x.js", "static/%2e%2e/index.html", "assets/%2e%2e/%2e%2e/x",
]  # fmt: skip


@pytest.mark.slow
def test_only_what_the_page_needs_is_found(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        for path in CLOSED:
            assert client.get(f"/ui/{path}").status_code == 404, path
            assert client.post(f"/ui/{path}", json={}).status_code == 404, path
        json_type = {"content-type": "application/json"}
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH"):
            assert client.request(method, "/ui/config", content="{}", headers=json_type).status_code == 404
        assert client.post("/ui/gradio_api/upload", files={"files": b"x"}).status_code == 415
        assert "redis" not in client.get("/ui/config").text
        for data in ([{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}], [], ["x"] * 99, None):
            reply = client.post("/ui/gradio_api/run/predict", json={"data": data, "fn_index": 0, "session_hash": "x"})
            assert "root:" not in reply.text
        assert client.get("/").headers["location"] == "/ui/"


@pytest.mark.slow
@pytest.mark.parametrize(
    "body",
    ["x", "[]", "{}", '{"data": []}', '{"data": [], "fn_index": 999}', '{"data": [], "fn_index": [1]}', "[" * 50_000],
)
def test_a_call_of_no_function_of_the_page_is_refused(url: str, body: str) -> None:
    json_type = {"content-type": "application/json"}
    reply = httpx.post(f"{url}/ui/gradio_api/run/predict", content=body, headers=json_type)
    assert reply.status_code == 422
    assert reply.json()["error"]["message"]


@pytest.mark.slow
def test_other_sites_cannot_use_the_page(url: str) -> None:
    host = url.removeprefix("http://")
    for origin in ("http://evil.example", "http://localhost:1", "null", f"https://{host}.evil.example"):
        for path in ("config", ""):
            reply = httpx.get(f"{url}/ui/{path}", headers={"Origin": origin})
            assert reply.status_code == 403
            assert not [name for name in reply.headers if name.startswith("access-control")]
        body = {"data": [], "fn_index": 4, "session_hash": "x"}
        assert httpx.post(f"{url}/ui/gradio_api/run/predict", json=body, headers={"Origin": origin}).status_code == 403
    reply = httpx.get(f"{url}/ui/config", headers={"Origin": url})
    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]


@pytest.mark.slow
def test_the_page_names_no_other_host_and_has_a_strict_policy(url: str) -> None:
    reply = httpx.get(f"{url}/ui/", headers={"Accept-Encoding": "br, gzip"})
    nonce = re.search(r"'nonce-([\w-]+)'", reply.headers["content-security-policy"])
    assert nonce is not None
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert len(reply.content) == int(reply.headers["content-length"])
    scripts = re.findall(r"<script[^>]*>", reply.text)
    assert scripts
    assert all(f'nonce="{nonce.group(1)}"' in script for script in scripts)
    hosts = set(re.findall(r"(?:src|href|content)=\"?(https?://[^/\"]*)", reply.text))
    assert hosts == set()
    assert nonce.group(1) not in httpx.get(f"{url}/ui/").text


@pytest.mark.slow
def test_a_key_guards_the_page(project: Path) -> None:
    with serving(project, "secret") as url:
        assert httpx.get(f"{url}/ui/").status_code == 401
        assert httpx.get(f"{url}/ui/", auth=("anyone", "wrong")).status_code == 401
        assert httpx.get(f"{url}/ui/", auth=("anyone", "secret"), timeout=300).status_code == 200


def test_gradio_is_imported_at_the_first_look_only() -> None:
    code = "import sys, rag_search.server.ui.mount, rag_search.server.ui.handlers; print('gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


WITHOUT_GRADIO = "import sys; sys.modules['gradio'] = None; from rag_search.cli.app import main; main()"


def test_ui_without_gradio_names_the_pip_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_GRADIO, "ui", "--no-open"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 2
    assert "'gradio' is not installed" in done.stderr
    assert "pip install 'ragsearch-local[ui]'" in done.stderr


@pytest.mark.slow
def test_serve_without_gradio_says_so_in_one_line_and_serves(tmp_path: Path, model_cache: Path) -> None:
    environment = {**os.environ, "RAGSEARCH_CACHE_DIR": str(model_cache)}
    command = [sys.executable, "-c", WITHOUT_GRADIO, "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment) as process:
        try:
            assert process.stderr is not None
            said: list[str] = []
            while not (said and said[-1].startswith("listening on ")):
                said.append(process.stderr.readline())
                assert said[-1], said
            url = said[-1].split()[-1]
            assert [line for line in said if "page" in line] == [
                "no web page: gradio is not installed. To add it, run: pip install 'ragsearch-local[ui]'\n"
            ]
            assert httpx.get(f"{url}/health").status_code == 200
            assert httpx.get(f"{url}/ui/").status_code == 404
            assert httpx.get(f"{url}/").json()["name"] == "ragsearch"
        finally:
            process.terminate()


MOUNTING = """
import os, sys, time
from types import SimpleNamespace
from fastapi import FastAPI
from fastapi.testclient import TestClient
from rag_search.config import ServerSettings, Settings
from rag_search.server.ui.mount import Loading, mount_page
config = SimpleNamespace(settings=Settings())
service = SimpleNamespace(live_searcher=SimpleNamespace(config=config), settings=ServerSettings())
app = FastAPI()
mount_page(app, service, loading=Loading[sys.argv[1]])
mounted = "gradio" in sys.modules
end = time.monotonic() + float(sys.argv[2])
with TestClient(app):
    while "gradio" not in sys.modules and time.monotonic() < end:
        time.sleep(0.05)
print(mounted, "gradio" in sys.modules, flush=True)
os._exit(0)  # as the command ends: an import that has begun is left alone
"""


@pytest.mark.parametrize(
    ("loading", "wait_s", "loaded"),
    [("AT_VISIT", 1, "False False"), ("AT_START", 60, "False True"), ("BEFORE_START", 0, "True True")],
)
def test_gradio_is_loaded_when_it_is_asked_to(loading: str, wait_s: int, loaded: str) -> None:
    """When the page is mounted, or within seconds of a server that was never asked for the page.

    `ragsearch ui` opens the browser at a page that is there; `serve` on a terminal loads it beside the first answers.
    """
    pytest.importorskip("gradio")
    command = [sys.executable, "-c", MOUNTING, loading, str(wait_s)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == loaded
