"""Imports point down the layers, siblings do not import each other, heavy packages stay in their leaves."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import rag_search

PACKAGE = Path(rag_search.__file__).parent
LAYERS = {
    0: {"records", "errors", "scripts", "text", "parallel", "special_tokens", "stopwatch", "token_codes", "web", "blas",
        "process_ids"},
    1: {"corpus", "chunking", "markdown", "lexical", "fusion", "embed", "rerank", "index", "query_text", "remote"},
    2: {"ingestion", "search", "hits", "reranking", "evaluation", "known_answers"},
    3: {"config", "wiring", "render", "measuring", "doctor", "api", "wire", "announcing", "client", "serving"},
    4: {"cli", "serve", "integrations"},
}  # fmt: skip
LAYER_OF = {name: layer for layer, names in LAYERS.items() for name in names}
# inside a layer only these may look sideways: one is the base of the other
SIDEWAYS = {("chunking", "markdown"), ("corpus", "markdown"), ("rerank", "embed"), ("embed", "remote"),
            ("rerank", "remote"), ("measuring", "wiring"), ("measuring", "config"),
            ("wiring", "config"), ("wiring", "serving"), ("serving", "config"), ("doctor", "serving"),
            ("doctor", "wiring"), ("doctor", "config"), ("api", "wiring"), ("announcing", "config"),
            ("client", "announcing"), ("client", "config"), ("client", "wire"),
            ("api", "config"), ("evaluation", "search"), ("search", "hits"), ("render", "config")}  # fmt: skip
HEAVY = {"torch", "vllm", "sentence_transformers", "faiss", "gradio", "fastapi", "onnxruntime", "numpy", "pydantic"}


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE)
        yield relative.parts[0].removesuffix(".py"), ast.parse(path.read_text("utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    """First name below rag_search of every import in the file, lazy ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rag_search"):
            rest = node.module.split(".")[1:]
            yield from [rest[0]] if rest else [a.name for a in node.names if a.name != "__version__"]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("rag_search."))


def test_every_module_has_a_layer() -> None:
    assert {name for name, _ in modules()} - {"__init__"} <= set(LAYER_OF)


def test_imports_point_down() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, tree in modules()
        if name != "__init__"
        for other in imported(tree)
        if other != name and (name, other) not in SIDEWAYS and LAYER_OF[other] >= LAYER_OF[name] < 4
    ]
    assert wrong == []


def test_help_imports_nothing_heavy() -> None:
    assert heavy_after(["--help"]) == []


def test_a_query_with_nothing_set_imports_no_library_that_checks_settings(tmp_path: Path) -> None:
    assert "pydantic" not in heavy_after(["query", "a question", "--no-server"], cwd=tmp_path)  # there is no index


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
