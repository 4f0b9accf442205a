"""What tests and benchmarks have in common: who imports whom, and one form of starting a benchmark."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
MAX_NAME = 60


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of everything that a file imports, lazy imports included."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def sources(*folders: str) -> list[Path]:
    """Return the Python files below folders of the repository."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def test_support_is_all_that_benchmarks_share() -> None:
    """Benchmarks import no test, and of `tests` only the support package."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("benchmarks", "training")
        for name in imports(path)
        if re.match(r"tests\.(?!support\b)", f"{name}.")
    ]
    assert wrong == []


def test_tests_import_no_benchmark() -> None:
    """Only the tests of the benchmarks import them; the support package imports neither."""
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("tests")
        for name in imports(path)
        if (name.startswith("benchmarks.") and path.parent.name != "benchmarks")
        or (path.parent.name == "support" and re.match(r"tests\.(?!support\b)", name))
    ]
    assert wrong == []


def test_benchmarks_start_as_modules() -> None:
    """Every text names a benchmark as `python -m benchmarks.x`, never as a file for Python."""
    texts = [*sources("benchmarks", "rag_search", "docs"), *ROOT.glob("*.md"), *ROOT.glob("*/*.md"), ROOT / "Makefile"]
    wrong = [str(path.relative_to(ROOT)) for path in texts if "python benchmarks/" in path.read_text("utf-8")]
    assert wrong == []


def test_benchmarks_use_public_names() -> None:
    """A benchmark measures what users call: no private name of a reader, a writer or an embedder."""
    wrong = [
        f"{path.relative_to(ROOT)}: {match}"
        for path in sources("benchmarks")
        for match in re.findall(r"\b(?:reader|writer|embedder|searcher)\._\w+", path.read_text("utf-8"))
    ]
    assert wrong == []


def test_names_of_tests_are_short() -> None:
    """A name has at most 60 characters; the sentence is in the docstring."""
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources("tests")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
        if len(name) > MAX_NAME
    ]
    assert wrong == []
