"""Print a search result for people: rank, score, title > heading path, `path:line` and a snippet.

All text of documents passes through `plain` and `rich.text.Text`: none of its escape sequences and markup reaches the
terminal.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Console
from rich.style import Style
from rich.text import Text

from rag_search.records import Hit, SearchResult, StageScores
from rag_search.render.cjk_wrap import wrapped
from rag_search.render.editors import link
from rag_search.render.notes import CHANGED, notes_of
from rag_search.render.paths import PathMapper
from rag_search.render.snippet import highlights, snippet
from rag_search.text.passages import all_headings, body_of
from rag_search.text.sanitize import one_line, plain

SNIPPET_LINES = 3
NARROW = 60  # cells; a narrower terminal gets blocks instead of columns
RANK_AND_SCORE, STAGES = 11, 18  # cells of the columns in front of a passage


def print_table(
    console: Console, result: SearchResult, mapper: PathMapper, *, explain: bool = False, links: str = "file"
) -> None:
    """Print the hits of one query, or a line that there are none, and its notes.

    Args:
        console: where to print; its width decides between columns and blocks.
        result: the hits, with the query to highlight.
        mapper: shows stored paths.
        explain: with the score of each stage, the models and the times.
        links: address behind a path; see `rag_search.render.editors.link`.
    """
    if result.hits:
        _print_hits(console, result.hits, result.query, mapper, explain=explain, links=links)
    elif result.near_misses:
        console.print(Text("No confident match. Nearest:", style="yellow"))
        _print_hits(console, result.near_misses, result.query, mapper, explain=explain, links=links, style="dim")
    else:
        console.print(Text("No confident match.", style="yellow"))
    if explain:
        _print_explanation(console, result, mapper)
    else:
        for note in result.notes:
            console.print(Text(one_line(note), style="dim"), soft_wrap=True)


def _print_hits(
    console: Console,
    hits: Sequence[Hit],
    query: str,
    mapper: PathMapper,
    *,
    explain: bool,
    links: str,
    style: str = "",
) -> None:
    """Print hits in columns, or in blocks on a narrow terminal and for a path that is too long for its column.

    A path is never broken, so that it is copied whole.
    """
    indent = RANK_AND_SCORE + (STAGES if explain else 0)
    longest = max(_place(hit, mapper, links).cell_len for hit in hits)
    blocks = console.width < max(NARROW, indent + longest)
    indent = 0 if blocks else indent
    if not blocks:
        head = f"{'#':>3}  {'score':>5} " + (f"{'stages':<{STAGES}}" if explain else "") + "passage"
        console.print(Text(f"\n{head}\n{'─' * min(console.width, 100)}", style="bold"), soft_wrap=True)
    for hit in hits:
        if blocks:
            console.print(Text.assemble(f"{hit.rank}  ", _score(hit.score)), style=style)
        left = [] if blocks else _columns(hit, explain=explain)
        right = _passage(hit, query, mapper, console.width - indent, links)
        if blocks and explain:
            right += _stages(hit.scores).split("\n")
        for cell, line in zip_longest(left, right):
            row = cell or Text()
            row.pad_right(indent - row.cell_len)
            console.print(row.append_text(line or Text()), style=style, soft_wrap=True)
        console.print()


def _columns(hit: Hit, *, explain: bool) -> list[Text]:
    """Return the cells in front of a passage, line by line."""
    score = _score(hit.score)
    first = Text.assemble((f"{hit.rank:>3}", "bold"), " " * (7 - score.cell_len), score, " ")
    if not explain:
        return [first]
    stages = [Text(line, style="dim") for line in _stages(hit.scores).plain.split("\n")]
    return [first.append_text(stages[0]), *(Text(" " * RANK_AND_SCORE).append_text(stage) for stage in stages[1:])]


def _passage(hit: Hit, query: str, mapper: PathMapper, width: int, links: str) -> list[Text]:
    """Return the lines of a passage: headings, place, snippet and what else is known; only the place may be longer."""
    lines = [*wrapped(_heading(hit), width), _place(hit, mapper, links)]
    if text := _snippet(hit, query, width):  # a page may have nothing but its title
        lines += wrapped(text, width)
    if hit.exact:
        lines.append(Text(f"exact: {', '.join(map(one_line, hit.exact))}", style="dim"))
    if hit.same_in:
        lines.append(Text(f"same in {', '.join(map(mapper.printed, hit.same_in))}", style="dim"))
    if hit.siblings:
        others = ", ".join(f":{other.line_start}" for other in hit.siblings[:4])
        lines.append(Text(f"also at {others}", style="dim"))
    return lines


def _heading(hit: Hit) -> Text:
    heading = Text(one_line(hit.chunk.title), style="bold cyan")
    for part in all_headings(hit.chunk, hit.line):
        heading.append(" › ", style="dim").append(one_line(part), style="cyan")
    return heading


def _place(hit: Hit, mapper: PathMapper, links: str) -> Text:
    address = link(links, mapper.absolute(hit.chunk.path), hit.line)
    shown = f"{mapper.printed(hit.chunk.path)}:{hit.line}"
    place = Text(shown, style=Style(color="green", link=address))
    return place.append(f"  {CHANGED[hit.changed]}", style="yellow") if hit.changed in CHANGED else place


def _snippet(hit: Hit, query: str, width: int) -> Text:
    text = Text(snippet(body_of(hit.chunk), query, sentence=hit.sentence, cells=SNIPPET_LINES * max(20, width - 2)))
    for start, stop in highlights(text.plain, query):
        text.stylize("bold yellow", start, stop)
    return text


def _score(score: float) -> Text:
    return Text(f"{score:.2f}", style="bold green" if score >= 0.5 else "yellow")


def _stages(scores: StageScores) -> Text:
    """Show the score of each stage on its own line."""
    rows = (("dense", scores.dense), ("lexical", scores.lexical), ("fused", scores.fused), ("rerank", scores.rerank))
    return Text("\n".join(f"{name:<7} {'-' if value is None else format(value, '.3f'):>7}" for name, value in rows))


def _print_explanation(console: Console, result: SearchResult, mapper: PathMapper) -> None:
    engine = result.engine
    names = f"embedder: {engine.embedder}\nreranker: {engine.reranker or 'none'}\nindex: {engine.index}"
    console.print(Text(plain(names)))  # names come from settings and servers
    if result.instruction:
        console.print(Text(f"instruction: {one_line(result.instruction)}"))
    timings = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
    console.print(Text(plain(timings), style="dim"))
    for note in notes_of(result, mapper):
        console.print(Text(f"note: {one_line(note)}", style="yellow"))
