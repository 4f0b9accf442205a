"""Count passages that hold markup which a reader of the rendered page never sees.

    python -m benchmarks.leftover_markup FOLDER [FOLDER ...]

Prints for each folder and kind of markup the passages that have it outside of code, and their share of all.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from rag_search.chunking import chunk_document
from rag_search.documents import read_document, walk
from rag_search.embed.token_counts import estimated_tokens

KINDS = {
    "tags": re.compile(r"</?[A-Za-z][\w.-]*(?:\s[^<>]*=[^<>]*)?/?>"),
    "shortcodes": re.compile(r"\{\{[<%#]|\{%-?\s*\w"),
    "directives": re.compile(r"^\s*(?::::|!!!|\?\?\?|===\s*\")|^\s*\([\w-]+\)=\s*$", re.MULTILINE),
    "brackets": re.compile(r"\[\[[^\[\]]+\]\]|\[![A-Za-z]+\]|\[\^[\w-]+\]|\]\([^)\s]+\)"),
    "attributes": re.compile(r"\{[#.:][^{}\n]*\}"),
    "comments": re.compile(r"<!--|%%|\{/\*"),
    "imports": re.compile(r"^(?:import|export) .*(?:from|const|default).*", re.MULTILINE),
    "quote marks": re.compile(r"^\s*>\s*$", re.MULTILINE),
}
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,}).*?(?:^[ \t]*\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


def passages(folder: Path) -> Iterator[str]:
    """Yield the passages of the files under `folder`, without fenced code."""
    for source in walk([folder], base=folder, on_problem=lambda _: None):
        for chunk in chunk_document(read_document(source), count_tokens=estimated_tokens):
            yield _FENCE.sub("", chunk.passage)


def counted(folder: Path) -> tuple[int, Counter[str]]:
    """Return the number of passages, and of those with each kind of leftover markup; `any` for all kinds."""
    total, found = 0, Counter[str]()
    for passage in passages(folder):
        total += 1
        kinds = [kind for kind, pattern in KINDS.items() if pattern.search(passage)]
        found.update([*kinds, *(["any"] if kinds else [])])
    return total, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    for folder in parser.parse_args().folders:
        total, found = counted(folder)
        print(f"{folder}: {total:,} passages")
        for kind in (*KINDS, "any"):
            print(f"  {kind:<12} {found[kind]:>6,} {100 * found[kind] / max(1, total):6.2f} %")


if __name__ == "__main__":
    main()
