"""Every text that installs the package names the distribution that is ours."""

import re
import tomllib
from pathlib import Path

import pytest

from rag_search.errors import DISTRIBUTION, MissingExtraError, pip_install

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*", "rag_search/**/*.py", ".ci/*", "Makefile", "Dockerfile")
    for path in ROOT.glob(pattern)
    if path.suffix in ("", ".md", ".py", ".sh", ".yaml", ".service") and path.is_file() and path.name != "CHANGELOG.md"
)
REQUIREMENT = re.compile(r"(?<![\w./:@-])((?:rag-?search)[\w.-]*)\[")


def test_the_project_has_the_name_of_remedies() -> None:
    """The distribution is called as `pip_install` says, and PyPI does not take it for the other project."""
    assert PROJECT["name"] == DISTRIBUTION
    assert re.sub(r"[-_.]+", "", DISTRIBUTION).lower() != "ragsearch"


def test_every_extra_of_a_remedy_exists() -> None:
    """A remedy names one of the extras in pyproject.toml."""
    calls = re.compile(r"""(?:pip_install\(|MissingExtraError\([^,]+, )["'](\w+)["']\)""")
    extras = {name for path in (ROOT / "rag_search").rglob("*.py") for name in calls.findall(path.read_text("utf-8"))}
    assert extras
    assert extras <= PROJECT["optional-dependencies"].keys()
    assert MissingExtraError("faiss", "cpu").remedy == f"Run: {pip_install('cpu')}"


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_installs_a_stranger(path: Path) -> None:
    """What stands before `[extra]`, or after `pip install` and `uvx`, is our distribution."""
    text = path.read_text("utf-8")
    names = REQUIREMENT.findall(text) + re.findall(r"(?:pip install|uvx|--from) +['\"]?(ragsearch[\w-]*)", text)
    assert set(names) <= {DISTRIBUTION}
