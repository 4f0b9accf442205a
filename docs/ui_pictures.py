"""Draw docs/ui-search.png and docs/ui-rerank.png: the real page over the bundled corpus, in a real browser.

python docs/ui_pictures.py      (after `make demo`; needs the extras cpu, ui and browser, and Chromium)
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

QUESTION = "如何解决Redis连接超时"
SIZE = {"width": 1280, "height": 800}
SCALE = 1.25
DOCS = Path(__file__).parent


def main() -> None:
    """Search, open the first hit, score the example; save what the page shows."""
    with serving() as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, device_scale_factor=SCALE)
        page.goto(url, timeout=120_000)
        page.get_by_label("Question").fill(QUESTION)
        page.get_by_role("button", name="Search", exact=True).click()
        page.locator(".title").first.click()
        page.wait_for_selector(".found")
        save(page, DOCS / "ui-search.png")
        page.set_viewport_size({**SIZE, "height": 640})
        page.get_by_role("tab", name="Rerank").click()
        page.get_by_role("button", name="Example").click()
        page.wait_for_function("[...document.querySelectorAll('textarea')].some(field => field.value.includes('\\n'))")
        page.get_by_role("button", name="Run", exact=True).click()
        page.wait_for_selector(".which")
        save(page, DOCS / "ui-rerank.png")
        browser.close()


@contextmanager
def serving() -> Iterator[str]:
    """URL of a `ragsearch ui` of its own, with the arguments of this script."""
    command = [sys.executable, "-m", "rag_search.cli.app", "ui", "--no-open", "--port", "0", *sys.argv[1:]]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("web page at "):
                break
        try:
            yield line.split()[-1]
        finally:
            process.terminate()


def save(page: Page, path: Path) -> None:
    """A picture of the window in 128 colours, which keeps it small."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(128).save(path, optimize=True)


if __name__ == "__main__":
    main()
