"""`ragsearch query`: its options, and what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rag_search.cli.asking import Asking, answer
from rag_search.cli.common import MAX_HITS, Color
from rag_search.cli.options import ColorOption, IndexOption, LimitOption, ProfileOption, QuietOption
from rag_search.cli.results import Format


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
    asked = Asking(
        words=tuple(words or ()), top_k=top_k, candidates=candidates, rerank=rerank, instruct=instruct,
        min_score=min_score, paths=tuple(path or ()), where=tuple(where or ()), since=since, group=group, like=like,
        strict=strict, show_all=show_all, explain=explain, output=output, as_json=as_json, paths_only=paths_only,
        vimgrep=vimgrep, color=color, quiet=quiet, open_first=open_first, batch=batch, trec=trec, yes=yes,
        server=server, index=index, profile=profile,
    )  # fmt: skip
    raise typer.Exit(answer(asked))
