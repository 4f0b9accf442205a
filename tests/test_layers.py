"""Imports follow one total order of packages, no two files import each other, heavy packages stay in their leaves."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import rag_search

PACKAGE = Path(rag_search.__file__).parent
# A package imports only itself and what stands above it.
MAX_LINES = 250
ORDER = (
    "errors", "records", "text", "runtime", "documents", "embed", "chunking", "index", "rerank", "search", "ingest",
    "config", "engines", "evaluation", "api", "render", "server", "integrations", "cli",
)  # fmt: skip
ROOT = {"__init__", "__main__"}  # the public names and `python -m rag_search`: they stand outside the order
HEAVY = {"torch", "vllm", "sentence_transformers", "faiss", "gradio", "fastapi", "onnxruntime", "numpy", "pydantic"}
MAX_ENTRIES = 22


def modules() -> dict[str, ast.Module]:
    """Return the syntax tree of every module by its dotted name."""
    trees = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(("rag_search", *path.relative_to(PACKAGE).with_suffix("").parts))
        trees[name.removesuffix(".__init__") if name != "rag_search.__init__" else name] = ast.parse(
            path.read_text("utf-8")
        )
    return trees


def imported(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """Yield the modules of the package that a file imports, lazy imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "rag_search":
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                if name in known:
                    yield name
                elif node.module != "rag_search":  # `from rag_search import __version__` imports no module
                    yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("rag_search."))


def package_of(module: str) -> str:
    """Return the first name below rag_search."""
    return module.split(".")[1]


def test_every_entry_is_in_the_order() -> None:
    """The order names every package and module at the top, and nothing else."""
    assert {package_of(name) for name in modules()} == {*ORDER, *ROOT}


def test_imports_follow_the_order() -> None:
    """Every import goes to the own package or to one above it, without exceptions."""
    trees = modules()
    place = {name: number for number, name in enumerate(ORDER)}
    wrong = [
        f"{name} imports {other}"
        for name, tree in trees.items()
        if package_of(name) not in ROOT
        for other in imported(tree, set(trees))
        if place[package_of(other)] > place[package_of(name)]
    ]
    assert wrong == []


def test_no_two_files_import_each_other() -> None:
    """A cycle between two files hides which of them is the base."""
    trees = modules()
    arrows = {(name, other) for name, tree in trees.items() for other in imported(tree, set(trees)) if other != name}
    assert sorted(pair for pair in arrows if pair[::-1] in arrows and pair[0] < pair[1]) == []


def test_the_top_stays_small() -> None:
    """A reader sees the whole house at once."""
    entries = [path for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert len(entries) <= MAX_ENTRIES


def test_help_imports_nothing_heavy() -> None:
    assert heavy_after(["--help"]) == []


def test_a_query_with_nothing_set_imports_no_pydantic(tmp_path: Path) -> None:
    """A cold query with default settings does not import the library that checks settings."""
    assert "pydantic" not in heavy_after(["query", "a question", "--no-server"], cwd=tmp_path)  # there is no index


NAMED = {"RAGSEARCH_INDEX": "./none"}  # the one setting that most people have in their environment


def test_a_question_of_words_needs_no_parser(tmp_path: Path) -> None:
    """The library that parses options and the modules of other commands stay out of it until there is an option."""
    code = (
        "import os, sys\n"
        "os._exit = sys.exit\n"
        "from rag_search.cli.entry import main\n"
        "sys.argv = ['ragsearch', 'query', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    code = stop.code\n"
        "print(code, *sorted({'typer', 'click', 'pydantic'} & set(sys.modules)))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGSEARCH_")}
    environment |= {"XDG_DATA_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}  # there is no index
    printed = []
    for arguments, index in ((["a", "question"], {}), (["a", "question", "--no-server"], {}), (["a"], NAMED)):
        command, own = [sys.executable, "-c", code, *arguments], environment | index
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=own)
        printed.append((done.stdout.split(), done.stderr))
    assert printed[0] == (["2"], printed[1][1])
    assert printed[1][0] == ["2", "typer"]
    assert printed[2][0] == ["2"]
    assert f"no index at {tmp_path}/none" in printed[2][1]
    assert "ragsearch ingest" in printed[0][1]


def heavy_after(arguments: Sequence[str], *, cwd: Path | None = None) -> list[str]:
    """Heavy packages that a command has imported."""
    code = (
        "import sys\n"
        "from rag_search.cli.app import run\n"
        f"sys.argv = {['ragsearch', *arguments]}\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *sorted({HEAVY} & set(sys.modules)))"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGSEARCH_")}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd, env=environment)
    name, *heavy = done.stdout.splitlines()[-1].split()
    assert name == "HEAVY"
    return heavy


def test_no_file_is_long() -> None:
    """A file has one idea and at most 250 lines."""
    files = sorted(PACKAGE.rglob("*.py"))
    assert [path.name for path in files if path.read_text("utf-8").count("\n") > MAX_LINES] == []


def test_contributing_prints_the_order() -> None:
    """CONTRIBUTING.md shows the order of this file, word for word."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text("utf-8")
    block = text.partition("<!-- order -->")[2].partition("<!-- end of order -->")[0]
    assert tuple(block.replace("```", "").split()) == ORDER


QUERY_MODULES = (
    "rag_search.engines.open",
    "rag_search.embed.builtin.embedder",
    "rag_search.search.searcher",
    "rag_search.rerank.late_interaction",
)
QUERY_BUDGET = 90  # modules of the package that a cold query may import besides those of the command line
NOT_FOR_QUERIES = {
    "rag_search.index.writer",
    "rag_search.index.verification",
    "rag_search.index.store.recovery",
    "rag_search.index.store.compaction",
    "rag_search.index.store.lock",
    "rag_search.embed.builtin.onnx_graph",
    "rag_search.embed.builtin.rust_tokenizer",
    "rag_search.engines.known_answers",
    "rag_search.ingest",
    "rag_search.evaluation",
    "rag_search.server",
}


def test_a_cold_query_keeps_its_import_budget() -> None:
    """A query imports neither what writes an index nor heavy packages that it does not need."""
    code = f"import sys\nfor name in {QUERY_MODULES}: __import__(name)\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert sorted(loaded & NOT_FOR_QUERIES) == []
    assert sorted({name.partition(".")[0] for name in loaded} & (HEAVY - {"numpy", "onnxruntime"})) == []
    assert len([name for name in loaded if name.startswith("rag_search")]) <= QUERY_BUDGET


@pytest.mark.parametrize("names", ["ingest, query", "query, ingest", "IngestReport, ingest", "Searcher, ingest"])
def test_ingest_is_the_function_in_any_order(names: str) -> None:
    """A package below has the same name, and importing it would hide the function."""
    code = f"from rag_search import {names}\nimport rag_search.ingest.plan\n"
    code += "import rag_search\nprint(ingest is rag_search.ingest, ingest.__module__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True rag_search.api\n"
