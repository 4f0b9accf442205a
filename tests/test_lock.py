"""The lists of packages that `make demo` and `make test` install: pinned, hashed, and as pyproject.toml wants."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = {"demo.txt": ["cpu"], "test.txt": ["cpu", "eval", "test", "lint"]}


def normal(name: str) -> str:
    """Return a name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wanted(extras: list[str]) -> list[Requirement]:
    """Return the dependencies of the project and of some extras, our own extras replaced by theirs."""
    requirements = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        for text in PROJECT["optional-dependencies"][extra]:
            requirement = Requirement(text)
            own = requirement.name == PROJECT["name"]
            requirements += wanted(sorted(requirement.extras)) if own else [requirement]
    return requirements


@pytest.mark.parametrize("name", sorted(EXTRAS))
def test_a_lock_is_complete_and_hashed(name: str) -> None:
    """Every dependency is pinned within its bounds, and every pin has a hash."""
    text = (ROOT / "requirements" / name).read_text("utf-8")
    pins = {normal(pin): version for pin, version in re.findall(r"^([\w.-]+)==([\w.+!-]+)", text, re.M)}
    for requirement in wanted(EXTRAS[name]):
        assert requirement.specifier.contains(pins[normal(requirement.name)]), requirement
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.M)[1:]
    assert len(blocks) >= len(pins)
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_dependencies_have_upper_bounds() -> None:
    """The next major version of a package may change an answer."""
    unbound = [str(r) for r in map(Requirement, PROJECT["dependencies"]) if not re.search(r"<|==", str(r.specifier))]
    assert unbound == []


def test_the_bill_of_materials_is_that_of_the_lock() -> None:
    """Names and versions of sbom.json are those that `make demo` installs; docs/trust.md has the command."""
    listed = json.loads((ROOT / "requirements/sbom.json").read_text("utf-8"))["components"]
    pinned = re.finditer(r"^([\w.-]+)==([^ ;\\]+)", (ROOT / "requirements/demo.txt").read_text("utf-8"), re.MULTILINE)
    assert {(normal(each["name"]), each["version"]) for each in listed} == {
        (normal(match[1]), match[2]) for match in pinned
    }
