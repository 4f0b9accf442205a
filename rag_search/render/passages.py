"""Show ranked passages as a table with bars."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from rag_search.rerank.rank import RankedPassage
from rag_search.text.sanitize import plain

BAR = 10


def passages_table(ranked: Sequence[RankedPassage]) -> Table:
    """Return a table: rank, score, a bar for scores between 0 and 1, place in the input, start of the passage."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("#", "score", "", "in"):
        table.add_column(name, justify="left" if name == "" else "right", no_wrap=True)
    table.add_column("passage", overflow="fold")
    for passage in ranked:
        filled = round(max(0.0, min(1.0, passage.score)) * BAR)
        bar = Text("█" * filled + "·" * (BAR - filled), style="green")
        text = " ".join(plain(passage.text).split())
        shown = Text(text if len(text) <= 200 else text[:199] + "…")
        table.add_row(str(passage.rank), f"{passage.score:.3f}", bar, str(passage.index + 1), shown)
    return table
