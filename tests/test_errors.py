"""The exceptions of ragsearch."""

import ast
import importlib
import pickle
import pkgutil
from pathlib import Path

import pytest

import rag_search
from rag_search.errors import InputError, MissingExtraError, RagSearchError, first_line

for _module in pkgutil.walk_packages(rag_search.__path__, "rag_search."):
    if _module.name.endswith((".errors", ".client", ".batching", ".model_client")):  # where errors are defined
        importlib.import_module(_module.name)


def all_kinds(kind: type[RagSearchError]) -> list[type[RagSearchError]]:
    """Return the class and all its subclasses."""
    return [kind, *(below for child in kind.__subclasses__() for below in all_kinds(child))]


KINDS = [kind for kind in all_kinds(RagSearchError) if kind.__module__.startswith("rag_search.")]


def test_the_first_line_of_an_exception() -> None:
    assert first_line(OSError("\n no such model.\nmore about it")) == "no such model"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(RuntimeError(" \n ")) == "RuntimeError"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickle(kind: type[RagSearchError]) -> None:
    """Errors cross process borders with message, remedy and further fields."""
    error = MissingExtraError("faiss", "cpu") if kind is MissingExtraError else kind("it broke.", remedy="Fix it.")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))


def test_all_kinds_of_errors_were_found() -> None:
    assert {InputError, MissingExtraError} < set(KINDS)
    assert len(KINDS) >= 16


@pytest.mark.parametrize("package", ["cli", "config", "engines", "evaluation"])
def test_errors_about_what_a_user_wrote_have_a_remedy(package: str) -> None:
    """Where files, flags and settings of a user are read, each error says what to do."""
    without = [
        f"{file.name}:{node.lineno}"
        for file in sorted((Path(rag_search.__file__).parent / package).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"InputError", "ConfigError"}
        and "remedy" not in {keyword.arg for keyword in node.keywords}
    ]
    assert without == []
