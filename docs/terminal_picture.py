"""Draw docs/terminal.svg: the real answer of `ragsearch query` to the question of the README.

python docs/terminal_picture.py [COLUMNS]      (after `make demo`)
"""

from __future__ import annotations

import html
import io
import re
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from rag_search import searching
from rag_search.config import load_config
from rag_search.render.paths import PathMapper
from rag_search.render.table import print_table
from rag_search.search.searcher import SearchOptions

QUESTION = "the runner has no space left on device"
CELL = 12.2  # units that rich gives a cell
TARGET = Path(__file__).with_name("terminal.svg")


def main() -> None:
    """Answer the question with the bundled corpus and save what the terminal shows."""
    config = load_config()
    console = Console(
        file=io.StringIO(), record=True, width=100, force_terminal=True, highlight=False, emoji=False, markup=False
    )
    with searching() as searcher:
        result = searcher.search(QUESTION, SearchOptions(top_k=2))
    console.print(Text(f"$ ragsearch query {QUESTION} -n 2", style="bold"))
    print_table(console, result, PathMapper.of(config))
    TARGET.write_text(_mended(console.export_svg(title="ragsearch")), "utf-8")


def _mended(svg: str) -> str:
    """Rich gives a text room for its characters, where a CJK one needs two cells, and loads a font from elsewhere."""

    def widened(match: re.Match[str]) -> str:
        return f'textLength="{CELL * cell_len(html.unescape(match[2])):.1f}"{match[1]}>{match[2]}</text>'

    svg = re.sub(r'textLength="[0-9.]+"([^>]*)>([^<]*)</text>', widened, svg)
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    main()
