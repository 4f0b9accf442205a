"""Draw docs/terminal.svg: the real answer of `ragsearch query` to the question of the README.

python docs/terminal_picture.py      (after `make demo`)
"""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.text import Text

from rag_search import searching
from rag_search.config import load_config
from rag_search.render.places import Places
from rag_search.render.table import print_table
from rag_search.search import SearchOptions

QUESTION = "如何解决Redis连接超时"
TARGET = Path(__file__).with_name("terminal.svg")


def main() -> None:
    """Answer the question with the bundled corpus and save what the terminal shows."""
    config = load_config()
    console = Console(record=True, width=100, force_terminal=True, highlight=False, emoji=False, markup=False)
    with searching() as searcher:
        result = searcher.search(QUESTION, SearchOptions(top_k=3))
    console.print(Text(f'$ ragsearch query "{QUESTION}" -k 3', style="bold"))
    print_table(console, result, Places(config.base_dir, Path.cwd()))
    console.save_svg(str(TARGET), title="ragsearch")


if __name__ == "__main__":
    main()
