"""Count what makes the package easy or hard to enter: entries, import chains, docstrings, long files.

python -m benchmarks.house [CHECKOUT ...]        # a row for each checkout; none: this one
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.support.prose import VERBS, docstrings

ROOT = Path(__file__).parents[1]
MAX_LINES = 250


def main() -> None:
    """Print one table row for each checkout."""
    print("| checkout | modules | entries at the top | longest import chain | verb first | files over 250 lines |")
    print("|---|---:|---:|---:|---:|---:|")
    for folder in [Path(name) for name in sys.argv[1:]] or [ROOT]:
        print(f"| {folder.name} | {' | '.join(row(folder / 'rag_search'))} |")


def row(package: Path) -> list[str]:
    """Return the figures of one package."""
    files = {name_of(path, package): path for path in sorted(package.rglob("*.py"))}
    trees = {name: ast.parse(path.read_text("utf-8")) for name, path in files.items()}
    entries = [
        p for p in package.iterdir() if (p.suffix == ".py" or any(p.glob("**/*.py"))) and p.name != "__pycache__"
    ]
    long = [path for path in files.values() if path.read_text("utf-8").count("\n") > MAX_LINES]
    opening = [re.split(r"\W", text, maxsplit=1)[0].lower() in VERBS for _, text in docstrings(package)]
    chain = longest_chain({name: set(imports(tree, trees.keys())) - {name} for name, tree in trees.items()})
    share = f"{sum(opening)} of {len(opening)}, {sum(opening) / len(opening):.0%}"
    return [str(len(files)), str(len(entries)), str(len(chain)), share, str(len(long))]


def name_of(path: Path, package: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join((package.name, *path.relative_to(package).with_suffix("").parts)).removesuffix(".__init__")


def imports(tree: ast.Module, known: Mapping[str, object] | set[str]) -> Iterator[str]:
    """Yield the modules of the package that a file imports, lazy imports included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from {f"{node.module}.{alias.name}", node.module} & set(known)
        elif isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & set(known)


def longest_chain(arrows: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Return the longest path of imports; a module that is being followed already ends it."""
    following: set[str] = set()

    @cache
    def chain(name: str) -> tuple[str, ...]:
        if name in following:
            return ()
        following.add(name)
        best = max((chain(other) for other in arrows[name]), key=len, default=())
        following.discard(name)
        return (name, *best)

    return max((chain(name) for name in sorted(arrows)), key=len)


if __name__ == "__main__":
    main()
