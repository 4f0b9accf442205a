"""Print a search result: a rich table with rank, score, title > heading path, `path:line` and a snippet.

All text of documents passes through `plain` and `rich.text.Text`: none of its escape sequences and markup reaches the
terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from rag_search.records import Hit, SearchResult, StageScores
from rag_search.render.cjk_wrap import Wrapped
from rag_search.render.notes import notes_of
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import highlights, snippet
from rag_search.text.passages import body_of
from rag_search.text.sanitize import plain

SNIPPET_LINES = 3
MARGIN = 18  # columns of rank and score, and those lost at line breaks


def print_table(console: Console, result: SearchResult, mapper: PathMapper, *, explain: bool = False) -> None:
    """Print the hits of one query, or a line that there are none."""
    if result.hits:
        console.print(_table(result.hits, result, mapper, width=console.width, explain=explain))
    elif result.near_misses:
        console.print(Text("No confident match. Nearest:", style="yellow"))
        nearest = _table(result.near_misses, result, mapper, width=console.width, explain=explain)
        console.print(nearest, style="dim")
    else:
        console.print(Text("No confident match.", style="yellow"))
        for note in result.notes:
            console.print(Text(plain(note), style="dim"), soft_wrap=True)
    if explain:
        _print_explanation(console, result, mapper)
    elif result.instruction and result.hits:
        for note in result.notes:
            console.print(Text(plain(note), style="dim"), soft_wrap=True)


def _table(hits: Sequence[Hit], result: SearchResult, mapper: PathMapper, *, width: int, explain: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=False, pad_edge=False, show_lines=False, header_style="bold")
    table.add_column("#", justify="right", no_wrap=True, style="bold")
    table.add_column("score", justify="right", no_wrap=True)
    if explain:
        table.add_column("stages", no_wrap=True, style="dim")
    table.add_column("passage", overflow="fold", ratio=1)
    for hit in hits:
        cells: list[RenderableType] = [Text(str(hit.rank)), _score(hit.score)]
        if explain:
            cells.append(_stages(hit.scores))
        table.add_row(*cells, _passage(hit, result.query, mapper, width), end_section=False)
    return table


def _passage(hit: Hit, query: str, mapper: PathMapper, width: int) -> Group:
    lines: list[RenderableType] = [Wrapped(_heading(hit)), _place(hit, mapper), Wrapped(_snippet(hit, query, width))]
    if hit.exact:
        lines.append(Text(f"exact: {', '.join(map(plain, hit.exact))}", style="dim"))
    if hit.same_in:
        lines.append(Text(f"same in {', '.join(plain(mapper.shown(path)) for path in hit.same_in)}", style="dim"))
    if hit.siblings:
        others = ", ".join(f":{other.line_start}" for other in hit.siblings[:4])
        lines.append(Text(f"also at {others}", style="dim"))
    return Group(*lines, Text(""))


def _heading(hit: Hit) -> Text:
    heading = Text(plain(hit.chunk.title), style="bold cyan")
    for part in hit.chunk.heading_path:
        heading.append(" › ", style="dim").append(plain(part), style="cyan")
    return heading


def _place(hit: Hit, mapper: PathMapper) -> Text:
    link = f"{mapper.absolute(hit.chunk.path).as_uri()}#L{hit.line}"
    shown = f"{plain(mapper.shown(hit.chunk.path))}:{hit.line}"
    return Text(shown, style=Style(color="green", link=link), overflow="fold")


def _snippet(hit: Hit, query: str, width: int) -> Text:
    text = Text(
        snippet(body_of(hit.chunk), query, sentence=hit.sentence, cells=SNIPPET_LINES * max(30, width - MARGIN))
    )
    for start, stop in highlights(text.plain, query):
        text.stylize("bold yellow", start, stop)
    return text


def _score(score: float) -> Text:
    return Text(f"{score:.2f}", style="bold green" if score >= 0.5 else "yellow")


def _stages(scores: StageScores) -> Text:
    """Show the score of each stage on its own line."""
    rows = (("dense", scores.dense), ("bm25", scores.lexical), ("fused", scores.fused), ("rerank", scores.rerank))
    return Text("\n".join(f"{name:<6} {'-' if value is None else format(value, '.3f'):>7}" for name, value in rows))


def _print_explanation(console: Console, result: SearchResult, mapper: PathMapper) -> None:
    engine = result.engine
    names = f"embedder: {engine.embedder}\nreranker: {engine.reranker or 'none'}\nindex: {engine.index}"
    console.print(Text(plain(names)))  # names come from settings and servers
    if result.instruction:
        console.print(Text(f"instruction: {plain(result.instruction)}"))
    timings = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
    console.print(Text(plain(timings), style="dim"))
    for note in notes_of(result, mapper):
        console.print(Text(f"note: {plain(note)}", style="yellow"))
