"""The README on PyPI leads to the repository."""

import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[docs](docs/README.md)", "[docs](https://example.org/r/blob/main/docs/README.md)"),
        ("![picture](docs/terminal.svg)", "![picture](https://example.org/r/raw/main/docs/terminal.svg)"),
        ("[there](https://example.com/x)", "[there](https://example.com/x)"),
        ("[below](#limits)", "[below](#limits)"),
    ],
)
def test_relative_links_become_absolute(text: str, expected: str) -> None:
    pytest.importorskip("hatchling")
    absolute_links = runpy.run_path(str(ROOT / ".ci" / "metadata.py"))["absolute_links"]
    assert absolute_links(text, "https://example.org/r") == expected


def test_links_of_the_readmes_exist() -> None:
    """Every relative link of README and docs names a file of the repository."""
    import re

    missing = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert missing == []


def test_compose_serves_with_a_key_and_without_root() -> None:
    """The compose example publishes the port on this machine only, wants a key and starts as the image's user."""
    compose = yaml.safe_load((ROOT / "docs" / "compose.search.yaml").read_text("utf-8"))
    serve = compose["services"]["serve"]
    assert all(port.startswith("127.0.0.1:") for port in serve["ports"])
    assert ":?" in serve["environment"]["RAGSEARCH_SERVER__API_KEY"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert "\nUSER ragsearch\n" in dockerfile
    assert dockerfile.index("USER ragsearch") < dockerfile.index("ENTRYPOINT")
