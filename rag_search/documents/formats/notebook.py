"""Jupyter notebooks: Markdown and code cells, read as one Markdown text. Outputs are left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rag_search.documents.formats.base import DecodingError, decode_text
from rag_search.documents.formats.markdown import Markdown

MAX_LEVEL = 6  # of a heading in Markdown


class Notebook(Markdown):
    """A notebook. Offsets and lines count in the Markdown text of its cells."""

    name = "notebook"
    suffixes = frozenset({".ipynb"})

    def decode(self, content: bytes) -> str:
        """Return the cells as Markdown, code in fences.

        Raises:
            DecodingError: the file is not a notebook.
        """
        text = decode_text(content)
        try:
            notebook = json.loads(text)
            cells = notebook["cells"] if "cells" in notebook else notebook["worksheets"][0]["cells"]
            language = _language(notebook)
            parts = list(_parts(cells, language))
        except (ValueError, RecursionError, KeyError, IndexError, TypeError, AttributeError) as error:
            problem = "is not a Jupyter notebook." if text.strip() else "is empty."
            raise DecodingError(problem, "Save it again with Jupyter, or exclude it in .ragsearchignore.") from error
        return "\n\n".join(parts).replace("\0", "\ufffd") + "\n" if parts else ""


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata") or {}
    named = (metadata.get("language_info") or {}).get("name") or (metadata.get("kernelspec") or {}).get("language")
    return str(named or "python")


def _parts(cells: Any, language: str) -> Iterator[str]:
    for cell in cells:
        source = cell.get("source", cell.get("input", ""))
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        text = text.encode("utf-8", "replace").decode("utf-8").strip("\n")
        if not text.strip():
            continue
        if cell["cell_type"] == "code":
            fence = "`" * max(3, _longest_run(text) + 1)
            yield f"{fence}{language}\n{text}\n{fence}"
        elif cell["cell_type"] in ("markdown", "heading"):
            level = max(1, min(MAX_LEVEL, int(cell.get("level", 1))))
            yield f"{'#' * level} {text}" if cell["cell_type"] == "heading" else text


def _longest_run(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if char == "`" else 0
        longest = max(longest, run)
    return longest
