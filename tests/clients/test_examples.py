"""Every file of docs/clients runs as it stands and puts the right passage first."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.served import Project

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[2] / "docs" / "clients"
INDEXED = "docs/redis.md:1"
PASSAGE = "Raise maxTotal when Redis connections time out."
WEATHER = "The weather is fine."
EXAMPLES = {
    "cohere_rerank.py": ("cohere", [PASSAGE, WEATHER]),
    "openai_embeddings.py": ("openai", [WEATHER, PASSAGE]),
    "llama_index_search.py": ("llama_index", [INDEXED, PASSAGE]),
    "langchain_search.py": ("langchain_cohere", [INDEXED, PASSAGE]),
    "haystack_search.py": ("haystack_integrations", [INDEXED, PASSAGE]),
    "weaviate_rerank.py": ("httpx", [WEATHER, PASSAGE]),
}


@pytest.mark.parametrize(("name", "package", "shown"), [(name, *rest) for name, rest in EXAMPLES.items()])
def test_example(name: str, package: str, shown: Sequence[str], url: str, project: Project) -> None:
    _needs(package)
    lines = _run(project, name, url)
    assert [text for _, text in lines] == list(shown)
    best = max(lines)
    assert best[1] != WEATHER
    assert best[0] > 0.5


def test_mcp_example(project: Project) -> None:
    _needs("mcp")
    with project.serving("mcp", "--transport", "http") as url:
        assert INDEXED in _output(project, "mcp_search.py", url)
    assert INDEXED in _output(project, "mcp_search.py")  # starts the server itself


def test_every_example_is_tested_and_in_the_table() -> None:
    named = re.findall(r"clients/(\w+\.py)", (FOLDER.parent / "server.md").read_text("utf-8"))
    files = {path.name for path in FOLDER.glob("*.py")}
    assert files == {*EXAMPLES, "mcp_search.py"} == set(named)


def _needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def _run(project: Project, name: str, *arguments: str) -> list[tuple[float, str]]:
    """Score and text of each line that the example prints."""
    lines = _output(project, name, *arguments).splitlines()
    return [(float(score), text) for score, text in (line.split(" ", 1) for line in lines)]


def _output(project: Project, name: str, *arguments: str) -> str:
    """What the example prints."""
    scripts = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # where `ragsearch` is
    command = [sys.executable, str(FOLDER / name), *arguments]
    environment = {**project.environment, "PATH": scripts}
    done = subprocess.run(
        command, cwd=project.folder, env=environment, capture_output=True, timeout=120, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    return done.stdout
