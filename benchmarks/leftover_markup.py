"""Count passages that hold markup which a reader of the rendered page never sees.

    python -m benchmarks.leftover_markup FOLDER [FOLDER ...]

Prints for each folder and kind of markup the passages that have it outside of code, and their share of all. What stands
in fences or code spans is text that a reader sees, so spans of Markdown are filled with `x` before a file is read.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
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
_CODE_SPAN = re.compile(r"(?<![`\\])(`{1,2})(?!`)((?:(?!\n\s*\n)[^`]){1,500})(?<!`)\1(?!`)")


def without_code_spans(text: str) -> str:
    """Return a Markdown text with `x` for each character of code spans; fences and line ends stay."""
    pieces, position = [], 0
    for fence in [*_FENCE.finditer(text), None]:
        prose = text[position : fence.start() if fence else len(text)]
        pieces.append(_CODE_SPAN.sub(lambda span: span[1] + re.sub(r"[^\n]", "x", span[2]) + span[1], prose))
        pieces.append(fence[0] if fence else "")
        position = fence.end() if fence else position
    return "".join(pieces)


def passages(folder: Path) -> Iterator[str]:
    """Yield the passages of the files under `folder`, without code."""
    for source in walk([folder], base=folder, on_problem=lambda _: None):
        document = read_document(source)
        if Path(source.path).suffix.lower() not in (".html", ".rst", ".adoc", ".org", ".pdf", ".docx", ".pptx"):
            document = replace(document, text=without_code_spans(document.text))
        for chunk in chunk_document(document, count_tokens=estimated_tokens):
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
