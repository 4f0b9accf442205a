"""The page in a real server, and a real Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.ui import hostile

DOCS = {
    "redis.md": "---\ntitle: 连接池配置指南\ncategory: api\n---\n# 连接池配置指南\n\n前言。\n\n## 连接超时\n\n"
    "先看日志。Redis connection timeout：把 maxTotal 调大。再看监控。\n\n## 其他\n\n尾声。\n",
    "backup.md": "# Backups\n\nRun pg_dump every night.\n",
    "long.md": "# Long\n\n" + "\n\n".join(f"walrus paragraph number{i} " + "word " * 60 for i in range(300)),
    hostile.NAME: hostile.DOCUMENT,
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a ragsearch.toml and documents, some of them hostile."""
    pytest.importorskip("gradio", reason="the extra `ui` is not installed", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("page")
    (folder / "docs").mkdir()
    (folder / "ragsearch.toml").write_text("", "utf-8")
    for name, text in DOCS.items():
        (folder / "docs" / name).write_text(text, "utf-8")
    return folder


@contextmanager
def serving(project: Path, key: str = "") -> Iterator[str]:
    """URL of `tests.ui.server` while the block runs."""
    command = [sys.executable, "-m", "tests.ui.server", str(project), key]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root, env={**os.environ}) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert url.startswith("http://"), "the server did not start"
            httpx.get(f"{url}/ui/", auth=("anyone", key), timeout=300).raise_for_status()  # loads Gradio
            yield url
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def url(project: Path) -> Iterator[str]:
    with serving(project) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@dataclass
class Watched:
    """A page, and everything it asked for or complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> Any:
        self.page.goto(f"{url}/", timeout=120_000)
        self.page.get_by_label("Question").wait_for(timeout=120_000)
        self.page.locator(".start, .hits, .empty, .problem").first.wait_for(timeout=120_000)
        return self.page

    def fill(self, field: Any, text: str) -> None:
        """Fill a field until it keeps the text: Gradio (6.24) may empty one that it has just shown."""
        for _ in range(20):
            field.fill(text)
            self.page.wait_for_timeout(200)
            if field.input_value() == text:
                return
        raise AssertionError(f"{field} does not keep its text")

    def search(self, query: str) -> Any:
        """Search, and wait for what stands in the place of results then."""
        page = self.page
        page.get_by_label("Question").fill(query)
        with page.expect_response("**/gradio_api/run/predict"):
            page.get_by_role("button", name="Search", exact=True).click()
        page.wait_for_function("!document.querySelector('.results .hint')")
        page.evaluate("document.querySelectorAll('.more-facts').forEach(part => { part.open = true; })")
        return page


@pytest.fixture
def watched(browser: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page on a desktop or, with a parameter, of another width. When the test ends: no request has left the server,
    no script of a document has run, the browser has complained about nothing."""
    context = browser.new_context(viewport={"width": getattr(request, "param", 1280), "height": 800})
    seen = Watched(context.new_page())
    seen.page.set_default_timeout(20_000)
    seen.page.on("request", lambda asked: seen.requests.append(asked.url))
    seen.page.on("console", lambda said: seen.complaints.append(said.text) if said.type == "error" else None)
    seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    seen.page.on("dialog", lambda dialog: seen.complaints.append(f"a dialog: {dialog.message}"))
    yield seen
    foreign = [asked for asked in seen.requests if not asked.startswith((f"{url}/", "data:"))]
    ran = seen.page.evaluate("window.ran")
    pages = len(context.pages)
    context.close()
    assert (foreign, ran, seen.complaints, pages) == ([], None, [], 1)
    assert seen.requests
