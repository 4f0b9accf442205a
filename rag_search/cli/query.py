"""`ragsearch query`: print the passages that answer a question, best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from rag_search.cli.common import (
    FOUND,
    MAX_HITS,
    NOTHING,
    Color,
    ColorOption,
    IndexOption,
    LimitOption,
    ProfileOption,
    QuietOption,
    load_config,
    places,
    set_color,
)
from rag_search.cli.results import Format
from rag_search.cli.terminal import local_only

if TYPE_CHECKING:
    from rag_search.config import Config

_Found = TypeVar("_Found")


def query(
    words: Annotated[
        list[str] | None, typer.Argument(help="The question, with or without quotes; none or `-`: from stdin.")
    ] = None,
    top_k: LimitOption = None,
    candidates: Annotated[
        int | None, typer.Option(min=1, max=MAX_HITS, metavar="N", help="Depth of stage one.")
    ] = None,
    rerank: Annotated[bool, typer.Option("--rerank/--no-rerank", help="Order by stage two.")] = True,
    instruct: Annotated[str | None, typer.Option(help="Instruction for engines that follow one.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Hide hits with a lower score.")] = None,
    path: Annotated[
        list[str] | None, typer.Option(help="Only documents whose path matches; !GLOB: does not.", metavar="GLOB")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only documents with this front matter.", metavar="KEY=VALUE")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only documents updated since a day, or for so long: 7d.", metavar="DAY")
    ] = None,
    group: Annotated[bool, typer.Option("--group/--no-group", help="One hit per document.")] = True,
    like: Annotated[
        str | None, typer.Option("--like", help="Find passages like the one at this place.", metavar="PATH:LINE")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Print nothing below the threshold.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Print hits below the threshold, too.")] = False,
    explain: Annotated[
        bool, typer.Option("-v", "--verbose", "--explain", help="Show the score and the time of each stage.")
    ] = False,
    output: Annotated[
        Format | None, typer.Option("--format", help="Output format; default: table on a terminal, else lines.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as --format json.")] = False,
    paths_only: Annotated[
        bool, typer.Option("-l", "--files-with-matches", help="Print only the path of each document.")
    ] = False,
    vimgrep: Annotated[bool, typer.Option("--vimgrep", help="Print path:line:column: text, for editors.")] = False,
    color: ColorOption = Color.auto,
    quiet: QuietOption = False,
    open_first: Annotated[bool, typer.Option("-o", "--open", help="Open the first hit in the editor.")] = False,
    batch: Annotated[Path | None, typer.Option(help="Answer every query of a file: one a line, or JSON lines.")] = None,
    trec: Annotated[Path | None, typer.Option(help="Also write a TREC run file.")] = None,
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Without an index, ingest the folder first if it is small; do not ask.")
    ] = False,
    server: Annotated[bool, typer.Option("--server/--no-server", help="Use a running `ragsearch serve`.")] = True,
    index: IndexOption = None,
    profile: ProfileOption = None,
) -> None:
    """Find the passages that answer a question.

    `search` is the same command. A leading [...] is an instruction: ragsearch query "[2024年最新] Redis 部署". Put --
    in front of a question that begins with a dash. Exit code 0: found, 1: no confident match, 2: error.

    Example: ragsearch query 如何解决Redis连接超时 -n 3
    """
    from rag_search.cli import answers, questions, results
    from rag_search.text.dates import parse_since
    from rag_search.text.query import parse_where

    set_color(color)
    form = results.choose_format(output, as_json=as_json, paths_only=paths_only, vimgrep=vimgrep)
    config = load_config(index=index, profile=profile)
    defaults = config.settings.search.options
    options = replace(
        defaults,
        top_k=top_k or defaults.top_k,
        candidates=candidates or defaults.candidates,
        system="rerank" if rerank else "hybrid",
        instruction=instruct,
        min_score=defaults.min_score if min_score is None else min_score,
        paths=tuple(map(places(config).stored_pattern, path)) if path else (),
        where=parse_where(where or []),
        since=parse_since(since) if since else None,
        group=group,
        below_threshold=_below_threshold(strict=strict, show_all=show_all),
    )
    query_ids, texts, own_document = _questions(config, words or [], batch, like=like)
    if like:
        from rag_search.cli.like import options_like

        options = options_like(options, own_document)
    if trec or open_first:
        local_only()
    if trec:
        questions.require_distinct(query_ids)
    found = answers.ask_server(config, texts, options, explain=explain) if server else None
    if found is None:
        search = partial(answers.search_here, config, texts, options, meanwhile=lambda: results.import_printer(form))
        found = _with_index(search, config, yes=yes)
    if trec:
        results.write_trec(trec, query_ids, found)
    if not quiet:
        results.print_results(found, config, form, explain=explain, many=batch is not None)
    best = next((result.hits[0] for result in found if result.hits), None)
    if open_first and best is not None:
        from rag_search.cli.open import open_at

        raise typer.Exit(open_at(config, places(config).absolute(best.chunk.path), best.line))
    raise typer.Exit(NOTHING if best is None else FOUND)


def _questions(
    config: Config, words: Sequence[str], batch: Path | None, *, like: str | None
) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return the ids and the texts of the questions, and the document of `like`, which is not one of its own hits.

    Raises InputError if there is no question, or `like` beside one.
    """
    from rag_search.cli.questions import read_queries

    if not like:
        query_ids, texts = zip(*read_queries(words, batch), strict=True)
        return query_ids, texts, ""
    from rag_search.cli.like import passage_at

    if words or batch:
        from rag_search.errors import InputError

        raise InputError("give a question, or --like PATH:LINE, not both.", remedy="Remove one of them.")
    text, document = passage_at(config, like)
    return ("1",), (text,), document


def _with_index(search: Callable[[], _Found], config: Config, *, yes: bool) -> _Found:
    """Return what `search` finds; ingest the folder first if there is no index and it is small. yes: do not ask."""
    from rag_search.errors import IndexMissingError

    try:
        return search()
    except IndexMissingError as error:
        from rag_search.cli.first_ingest import ingest_first

        ingest_first(config, error, yes=yes)
        return search()


def _below_threshold(*, strict: bool, show_all: bool) -> Literal["none", "nearest", "all"]:
    """Return which hits below the threshold are kept. Raises InputError if both options are given."""
    if strict and show_all:
        from rag_search.errors import InputError

        raise InputError("--strict and --all exclude each other.", remedy="Use one of them.")
    return "none" if strict else "all" if show_all else "nearest"
