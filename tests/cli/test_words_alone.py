"""A question of words alone, which is answered without the parser of options."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from rag_search.cli.asking import Asking
from rag_search.cli.query import query
from tests.support.project import Run

SEVERAL = {"words", "paths", "where"}  # None among the options


def test_it_has_the_defaults_of_the_options() -> None:
    """They are stated twice: by the options and by what they ask for."""
    options = {name: parameter.default for name, parameter in inspect.signature(query).parameters.items()}
    options["paths"] = options.pop("path")
    asked = {field.name: field.default for field in dataclasses.fields(Asking)}
    assert options.keys() == asked.keys()
    assert {name: asked[name] for name in asked.keys() - SEVERAL} == {
        name: options[name] for name in asked.keys() - SEVERAL
    }


@pytest.mark.parametrize("form", [[], ["--"]], ids=["words alone", "with the parser"])
@pytest.mark.parametrize("words", [["Redis", "连接超时"], ["quantum", "chromodynamics"]], ids=["found", "nothing"])
def test_the_entry_point_prints_what_the_command_prints(
    project: Path, run: Run, words: list[str], form: list[str]
) -> None:
    run("ingest", "docs")
    expected = run("query", *words)
    command = [sys.executable, "-m", "rag_search", "query", *form, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (expected.code, expected.out, expected.err)
